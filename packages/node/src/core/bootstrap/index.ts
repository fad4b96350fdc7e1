/** How a store gets into its cluster: it bootstraps one, joins one, or waits for peers. */

export { Bootstrap, type BootstrapStart, type Joined } from './bootstrap.ts'
