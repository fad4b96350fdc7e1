/** How a store comes to its cluster: founding one, joining one, or waiting and saying for whom. */

export { Bootstrap, type BootstrapStart, type BootstrapState, type Joined } from './bootstrap.ts'
