import { spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, mkdtempSync, realpathSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import * as Flags from '@oclif/core/flags'
import { BaseCommand } from '../cli/base-command.ts'
import { EXIT } from '../cli/exit-codes.ts'
import { interruptible } from '../cli/interrupted.ts'
import { driveFlights } from '../cli/live-demo.ts'
import { print } from '../cli/output.ts'
import { Client } from '../daemon/client.ts'
import { KumaError } from '../errors.ts'
import { withoutMasterKey } from '../store/master-key.ts'

/** Flights a second. */
const RATE = 200
const EMAIL = 'ann@example.org'

const DELAYS =
  "select id, state->>'flights' as flights, round(1.0 * (state->>'delays') / (state->>'flights'), 1) as minutes from entities where state->>'flights' > 200 order by minutes desc limit 5"
const MONTHS =
  'select id, month, flights, late from months join entities using (_entity) where flights > 50 order by 1.0 * late / flights desc limit 5'

const FORK = ['fork', 'february', '--at', '2001-02-01'] as const

/** As a person would type them, in a folder that has a kuma.config.ts. */
const STEPS: readonly (readonly [why: string, ...words: string[]])[] = [
  ['Make a store', 'init'],
  ['Record 20,000 flights of the year 2001, each under the airport it left', 'import', 'flights.ndjson.gz'],
  ['The airports with the most departures', 'ls', '--sort', 'version', '--limit', '5'],
  ['What is known of a small one now', 'read', 'CAE'],
  ['What happened there last', 'log', 'CAE', '--reverse', '--limit', '3'],
  ['What it was on the first of February', 'replay', 'CAE', '--at', '2001-02-01'],
  ['And what changed on the last days of March', 'diff', 'CAE', '--from', '2001-03-29', '--to', '2001-04-01'],
  [
    'One more departure: `ok` means that it is on disk',
    ...['append', 'CAE', 'Departed', 'destination=ATL', 'delay:=4', 'distance:=192', '--as', 'you'],
  ] as const,
  ['Which departure last set each number, and who recorded it', 'blame', 'CAE', 'byDestination'],
  [
    'It never left: back to what was known before, by an event more',
    ...['revert', 'CAE', '--to', '2001-12-31', '--as', 'you', '--reason', 'it never left'],
  ] as const,
  ['What is known of it now, and why', 'log', 'CAE', '--by', 'you'],
  ['Another store, of all that was known on the first of February, to try things out', ...FORK] as const,
  ['The same airport there', 'read', 'CAE', '--dir', 'february'],
  ['Is everything as it was recorded?', 'verify'],
  ['A person, and what has been said of her', 'append', 'user_1', 'SignedUp', `email=${EMAIL}`, '--type', 'document'],
  ['A backup; nobody has to stop for it', 'backup'],
  ['All that is known of her, as a document that she can take elsewhere', 'export', 'user_1'],
  ['Erase her for good, also from the backup; --yes, since nobody types in a demo', 'delete', 'user_1', '--yes'],
  ['Now there is no such entity', 'read', 'user_1'],
  ['What stays is that somebody was erased, and when', 'erasures'],
  ['Across all airports, in SQL and without any code: where one waits longest', 'query', DELAYS],
  ['And from a table that the model declares: the months in which most left late', 'query', MONTHS],
]

/** What they end with, if not with 0. */
const EXITS: { readonly [command: string]: number } = { 'read user_1': EXIT.notFound }

export default class Demo extends BaseCommand {
  static override summary = 'Show the main job on real flights, command by command, in a temporary folder.'
  static override description =
    'Every command shown is really run. The folder stays, to go on with. With --live a daemon is started instead, and flights are recorded at a steady rate, to watch with `kuma top`.'
  static override examples = ['<%= config.bin %> demo', '<%= config.bin %> demo --live --rate 2000']
  static override flags = {
    live: Flags.boolean({ description: 'record flights through a daemon until Ctrl-C, to watch them with `kuma top`' }),
    rate: Flags.integer({
      description: `with --live: flights a second (default: ${RATE})`,
      min: 1,
      max: 50_000,
      helpValue: 'N',
      dependsOn: ['live'],
    }),
  }

  // it makes a store of its own, and shows each command as it is
  static override baseFlags = {} as never

  async run(): Promise<void> {
    const { flags } = await this.parse(Demo)
    const folder = makeFolder()
    const fixtures = join(this.config.root, 'fixtures')
    for (const file of ['models/kuma.config.ts', 'models/airport.ts', 'flights.ndjson.gz']) {
      const copy = join(folder, basename(file))
      copyFileSync(join(fixtures, file), copy)
      chmodSync(copy, 0o600) // not as it was installed
    }
    if (flags.live) return this.live(folder, flags.rate ?? RATE)
    for (const [why, ...words] of STEPS) {
      await print(`\n# ${why}\n$ kuma ${words.map(quoted).join(' ')}`)
      this.runStep(folder, words)
    }
    await grep(folder)
    await print(goOn(folder, this.binary))
  }

  /** Ends with Ctrl-C, and then the daemon does, or with the daemon. */
  private async live(folder: string, rate: number): Promise<void> {
    const store = join(folder, 'kuma-data')
    this.runStep(folder, ['init', '--dir', store])
    this.runStep(folder, ['start', '--detach', '--dir', store])
    await print(watch(store, this.binary, rate))
    await interruptible((signal) => driveFlights(store, join(folder, 'flights.ndjson.gz'), rate, signal), null)
    const client = await Client.find(store)
    if (client === null) return
    await client.close()
    this.runStep(folder, ['stop', '--dir', store])
  }

  private get binary(): string {
    return join(this.config.root, 'bin', 'run.js')
  }

  /** On this process's own stdout, so that it prints what it would print to whoever looks. */
  private runStep(folder: string, words: readonly string[]): void {
    const { KUMA_DIR: _, KUMA_CONFIG: __, ...env } = withoutMasterKey()
    const { status } = spawnSync(process.execPath, [this.binary, ...words], {
      cwd: folder,
      env,
      stdio: ['ignore', 'inherit', 'inherit'],
    })
    if (status !== (EXITS[words.join(' ')] ?? 0))
      throw new KumaError('KUMA_INTERNAL', `kuma ${words.join(' ')} ended with exit code ${status}`, {})
  }
}

/** As a shell needs it. */
function quoted(word: string): string {
  return word.includes(' ') ? `"${word}"` : word
}

/** Where there is no grep there is nothing to show. */
async function grep(folder: string): Promise<void> {
  const { status, stdout } = spawnSync('grep', ['-r', EMAIL, 'kuma-data'], {
    cwd: folder,
    env: withoutMasterKey(),
    encoding: 'utf8',
  })
  if (status === null) return
  await print(`\n# And in the files there is nothing left\n$ grep -r ${EMAIL} kuma-data\n${stdout || '(nothing)'}`)
}

function watch(store: string, binary: string, rate: number): string {
  return `
${rate} flights a second are recorded from now on. In another terminal:

  alias kuma='node "${binary}"'
  kuma top --dir ${store}

Ctrl-C ends it.`
}

function goOn(folder: string, binary: string): string {
  return `
The store stays in ${folder}, with its model, airport.ts: change that, and read again. To go on:

  cd ${folder}
  alias kuma='node "${binary}"'
  kuma log SFO --from 2001-03-01
`
}

/** @throws KUMA_IO */
function makeFolder(): string {
  try {
    return mkdtempSync(join(realpathSync(tmpdir()), 'kuma-demo-'))
  } catch (cause) {
    const hint = 'set TMPDIR to a folder that you may write to'
    const path = tmpdir()
    throw new KumaError('KUMA_IO', `no folder for the demo: ${(cause as Error).message}`, { path }, { cause, hint })
  }
}
