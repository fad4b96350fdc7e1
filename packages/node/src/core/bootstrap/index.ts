/** How a store gets into its cluster: it bootstraps one, joins one, or waits for peers. */

export { Bootstrap, type BootstrapStart, type BootstrapState, type Joined } from './bootstrap.ts'
