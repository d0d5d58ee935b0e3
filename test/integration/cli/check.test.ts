import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { kuma } from '../../cli.ts'
import { folder } from '../../folder.ts'

/** Orders, of which `paid` says what their events hold, and how they are folded. */
const configOf = (paid: string, evolve: string, more = '') => `
import * as kuma from 'kuma'
import { z } from ${JSON.stringify(import.meta.resolve('zod'))}
const Order = kuma.defineEntity({
  type: 'order',
  initial: { paid: 0 },
  events: { Paid: z.object({ amount: ${paid} }) },
}).evolve({ Paid: ${evolve} })${more}
export default kuma.defineConfig({ shards: 3, entities: [Order], ids: { 'order_*': Order } })
`
const SOUND = configOf('z.number()', '(state, { amount }) => ({ paid: state.paid + amount })')

/** A store with ten orders, and what is written into its config afterwards. */
async function orders(config: string) {
  const cwd = folder()
  const file = join(cwd, 'kuma.config.ts')
  writeFileSync(file, SOUND)
  const run = (...words: string[]) => kuma(words, { cwd })
  expect((await run('init')).code).toBe(0)
  const lines = Array.from({ length: 10 }, (_, i) => [
    { entity: `order_${i}`, type: 'Paid', data: { amount: i } },
    { entity: `order_${i}`, type: 'Paid', data: { amount: 10 * i } },
  ]).flat()
  const input = lines.map((line) => JSON.stringify(line)).join('\n')
  expect(await kuma(['import', '-'], { cwd, input })).toMatchObject({ code: 0 })
  writeFileSync(file, config)
  return { cwd, run }
}

test('models that go with everything that is recorded', async () => {
  const { run } = await orders(SOUND)
  expect(await run('check')).toEqual({ code: 0, stdout: 'ok entities 10, events 20\n', stderr: '' })
  expect(JSON.parse((await run('check', '--sample', '5', '--json')).stdout)).toMatchObject({ misfits: [] })
})

test('a schema that what is recorded does not fit is told, with the place, and nothing is written', async () => {
  const { run } = await orders(configOf('z.number().max(50)', '(state, { amount }) => ({ paid: state.paid + amount })'))
  const { code, stdout, stderr } = await run('check')
  expect({ code, stdout }).toEqual({ code: 1, stdout: 'NOT ok: 1 kinds of misfits, in entities 10, events 20\n' })
  expect(stderr).toMatch(
    /^order Paid: 4 events do not fit their schema\n {2}first order_\d v2 at \.amount: Paid is not valid/,
  )
  expect((await run('verify')).code).toBe(0)
})

test('an evolve that fails, an upcast that fails, a type without a definition', async () => {
  const throws = '() => { throw new Error("no") }'
  const folded = await orders(configOf('z.number()', throws))
  const { misfits } = JSON.parse((await folded.run('check', '--json')).stdout)
  expect(misfits).toEqual([
    {
      entityType: 'order',
      event: 'Paid',
      part: 'evolve',
      count: 10,
      first: { entity: expect.any(String), version: 1, path: null, message: expect.stringContaining('threw: no') },
    },
  ])
  const upcast = await orders(configOf('z.number()', '(state) => state', `.upcast({ Paid: ${throws} })`))
  expect(await upcast.run('check')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('order Paid: 20 events cannot be made into what they are today'),
  })
  const gone = await orders('export default { shards: 3 }')
  expect(await gone.run('check')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('order: 20 events have no definition'),
  })
})
