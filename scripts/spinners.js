/** Stands in a bundle for cli-spinners, of whose ninety oclif looks for these: nothing here spins. */
const none = { frames: [''] }
export default { dots2: none, line: none }
