/** How a store comes to its cluster: founding one, joining one, or waiting and saying for whom. */

export { Founding, type FoundingStart, type FoundingState, type Joined } from './founding.ts'
