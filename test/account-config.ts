/** A config file with accounts, for what is run by its config: the binary, and processes of their own. */
export function accountConfig(shards: number, projections: string): string {
  return `
import * as kuma from 'kuma'
const Account = kuma.defineEntity({
  type: 'account',
  initial: { balance: 0 },
  events: { Deposited: kuma.type<{ amount: number }>() },
}).evolve({ Deposited: (state, { amount }) => ({ balance: state.balance + amount }) })
export default kuma.defineConfig({
  path: './store',
  shards: ${shards},
  entities: [Account],
  projections: [${projections}],
})
`
}
