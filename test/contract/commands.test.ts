/** Every command does and says the same with the store for itself, through its daemon, and through a daemon elsewhere. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type Ended, kuma } from '../cli.ts'
import { startDaemon, tokenFile } from '../daemon.ts'
import { folder } from '../folder.ts'

interface Step {
  readonly words: readonly string[]
  readonly input?: string
}

const step = (line: string, input?: string): Step => ({
  words: line.split(' '),
  ...(input === undefined ? {} : { input }),
})

/** One after the other, each on what the ones before it have left. */
const STEPS: readonly Step[] = [
  step('append user_1 SignedUp email=ann@example.org plan=free --as ann'),
  step('append user_1 PlanChanged plan=pro seats:=5 --reason upgrade --as bob --request-key k1'),
  step('append user_1 PlanChanged plan=pro seats:=5 --reason upgrade --as bob --request-key k1'),
  step('append user_1 PlanChanged plan=other --request-key k1'),
  step('append user_1 Set --expect-version 9'),
  step('execute user_1 Upgrade plan=pro'),
  step('execute nobody Upgrade plan=pro --json'),
  step('append user_1 Set n:=9007199254740993'),
  step('append user_2 -', '{"type":"A","data":{"x":1}}\n{"type":"B","data":{"y":[1,2]}}\n'),
  step('append user_2 -', '{"type":"A"}\n{"type":'),
  step('append order_7 Placed lines:=[{"sku":"A1"}] --type order'),
  step('append order_8 Placed --type document --json'),
  step('append user_1 Late --at 2020-01-01'),
  step(
    'import -',
    '{"entity":"user_3","type":"SignedUp","data":{"plan":"free"},"at":1700000000000}\n{"entity":"","type":"X"}\n',
  ),
  step('read user_1'),
  step('read user_1 --json'),
  step('read nobody'),
  step('read nobody --json'),
  step('replay user_1'),
  step('replay user_1 --at v1'),
  step('replay user_1 --from v2 --to v3'),
  step('replay user_1 --at v99'),
  step('replay --all --at now'),
  step('log user_1 --reverse --limit 1'),
  step('log --by bob'),
  step('log nobody'),
  step('ls'),
  step('ls user_ --sort version'),
  step('ls --type order'),
  step('diff user_1'),
  step('diff user_1 user_2'),
  step('diff user_1 --from v1 --to v2 --json'),
  step('blame user_1'),
  step('blame user_1 plan'),
  step('blame user_1 nothing'),
  step('revert user_1 --to v1 --dry-run'),
  step('revert user_1 --to v1 --as joe'),
  step('tail --from start'),
  step('tail user_1 --event PlanChanged'),
  step('export user_1'),
  step('export --prefix user_ --format ndjson'),
  step('export user_2 --format cloudevents'),
  { words: ['query', "select id, version, state->>'plan' as plan from entities order by id", '--after', '000:3'] },
  { words: ['query', 'select id from entities where version >= ? order by id', '--param', ':=2', '--csv'] },
  { words: ['query', 'delete from kuma_checkpoint', '--json'] },
  { words: ['query', 'select * from entitys'] },
  { words: ['query', 'select 1', '--after', '000:99'] },
  { words: ['query', '-'], input: 'select count(*) as n\nfrom entities' },
  step('projections run --once'),
  step('projections pause entities'),
  step('projections resume entities'),
  step('projections drop entities'),
  step('projections skip entities 000:99 --reason none'),
  step('projections rebuild entities --dry-run'),
  step('projections rebuild entities'),
  step('projections rebuild accounts'),
  step('delete user_1'),
  step('delete user_1 nobody --yes'),
  step('delete --prefix user_ --dry-run'),
  step('delete user_1 --yes --reason asked --as dpo'),
  step('read user_1'),
  step('tail --from start --event Nothing'),
  step('append user_1 SignedUp plan=new'),
  step('shell --as eve', 'append user_4 Set n:=1\nread user_4\nread nobody\n'),
  step('ls --json'),
]

/** What differs from one run to the next: times, ids of stores and receipts, hashes, where the store is. */
function masked({ code, stdout, stderr }: Ended, store: string): Ended {
  const mask = (text: string) =>
    text
      .replaceAll(store, 'STORE')
      .replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, 'UUID')
      .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g, 'TIME')
      .replaceAll(/\b17\d{11}\b/g, 'MS')
      .replaceAll(/\b[0-9a-f]{16,64}\b/g, 'HASH')
      .replaceAll(/"pages": \d+|\d+ pages/g, 'PAGES')
  return { code, stdout: mask(stdout), stderr: mask(stderr) }
}

async function outcomes(through: 'nothing' | 'its daemon' | 'a daemon elsewhere'): Promise<Ended[]> {
  const cwd = folder()
  const store = join(cwd, 'kuma-data')
  await kuma(['init', '--shards', '1'], { cwd })
  let [at, env] = [cwd, {} as Record<string, string>]
  if (through === 'its daemon') await startDaemon(cwd)
  if (through === 'a daemon elsewhere') {
    const file = tokenFile(cwd)
    const { listening } = await startDaemon(cwd, ['--listen', '127.0.0.1:0', '--token-file', file])
    at = folder()
    env = { KUMA_URL: `tcp://${listening.address}`, KUMA_TOKEN_FILE: file }
  }
  const all: Ended[] = []
  for (const { words, input = '' } of STEPS) all.push(masked(await kuma(words, { cwd: at, env, input }), store))
  return all
}

test('every command', { timeout: 300_000 }, async () => {
  const alone = await outcomes('nothing')
  const told = (all: readonly Ended[]) => all.map((ended, i) => ({ command: STEPS[i]!.words.join(' '), ...ended }))
  expect(told(await outcomes('its daemon'))).toEqual(told(alone))
  expect(told(await outcomes('a daemon elsewhere'))).toEqual(told(alone))
  // not all of them fail alike
  expect(alone.filter(({ code }) => code === 0).length).toBeGreaterThan(STEPS.length / 2)
})
