/** The command as people run it. */
import { join } from 'node:path'
import { document, start } from '../../../dist/index.js'
import { kuma, node, root } from '../shell.js'

export const shell = [
  { name: 'node -e 0', unit: 'ms', run: () => node(['-e', '0']) },
  {
    name: 'kuma read',
    unit: 'ms',
    against: [{ name: 'node -e 0', goal: ['<=', 4.2] }],
    prepare: prepareRead,
    run: ({ folder }) => kuma(['read', 'acc_1', '--dir', join(folder, 'read')]),
  },
  {
    name: 'kuma query',
    unit: 'ms',
    against: [{ name: 'node -e 0', goal: ['<=', 4.2] }],
    prepare: async (at) => {
      await prepareRead(at)
      query(at)
    },
    run: query,
  },
  { name: 'kuma import', unit: 'events/s', goal: ['>=', 30_000], run: importFixture },
]

function query({ folder }) {
  return kuma(['query', "select id, state->>'plan' as plan from entities", '--dir', join(folder, 'read')])
}

async function prepareRead({ folder }) {
  const ctx = await start({ path: join(folder, 'read'), shards: 16 })
  await ctx.spawn(document, 'acc_1', { plan: 'free' })
  await ctx.close()
}

function importFixture({ path }) {
  const config = join(root, 'fixtures', 'models', 'kuma.config.ts')
  const flights = join(root, 'fixtures', 'flights.ndjson.gz')
  kuma(['init', path])
  return 20_000 / (kuma(['import', flights, '--dir', path, '--config', config]) / 1_000)
}
