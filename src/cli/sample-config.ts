/** What `kuma init --sample` writes. */
export const SAMPLE_CONFIG = `// Kuma reads this file here and in every folder below. A store works without it: then every entity is a document, and
// the data of each event is merged into its state.
import * as kuma from 'kuma'

// An entity type: its first state, its events, and what each event does to the state. \`evolve\` must be pure: no clock,
// no randomness, no I/O, and it returns a new state instead of changing the old one.
const Account = kuma.defineEntity({
  type: 'account',
  initial: { balance: 0, owner: '' },
  events: {
    Opened: kuma.type<{ owner: string }>(),
    // checked by the compiler only; a Standard Schema, such as z.object({ amount: z.number() }), also when it is recorded
    Deposited: kuma.type<{ amount: number }>(),
  },
}).evolve({
  Opened: (state, { owner }) => ({ ...state, owner }),
  Deposited: (state, { amount }) => ({ ...state, balance: state.balance + amount }),
})

export default kuma.defineConfig({
  path: 'PATH',
  entities: [Account],
  // the type that a new id gets in the shell: the first match wins, all others are documents
  ids: { 'acc_*': Account },
})
`
