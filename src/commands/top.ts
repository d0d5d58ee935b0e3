import { setTimeout } from 'node:timers/promises'
import * as Flags from '@oclif/core/flags'
import { BaseCommand, type GlobalFlags } from '../cli/base-command.ts'
import { parseDuration } from '../cli/duration.ts'
import { usage } from '../cli/event-data.ts'
import { exitCodeFor, interruptible } from '../cli/interrupted.ts'
import { colors, isTerminal, print } from '../cli/output.ts'
import { TopSource } from '../cli/top-source.ts'
import { notRunning } from '../daemon/protocol.ts'
import { openEngine } from '../kuma.ts'
import { SORTS, type Sort } from '../tui/look.ts'
import { plainLines } from '../tui/plain.ts'

const INTERVAL_MS = 1_000
const INTERVAL_MS_MIN = 100
const ROWS = 50

export default class Top extends BaseCommand {
  static override summary = 'Watch the live actors of a store: a cockpit in the terminal.'
  static override description =
    'Shows what the daemon does: actors, shards, clients and subscribers, and opens any entity, live and back in time. `?` tells the keys. Off a terminal, and with --once or --json, it prints plain text or JSON. Without a daemon it offers a look at the files of the store.'
  static override examples = [
    '<%= config.bin %> top',
    '<%= config.bin %> top --read-only --sort p99',
    '<%= config.bin %> top --once',
    '<%= config.bin %> top --json --interval 5s --count 12 >> load.ndjson',
  ]
  static override flags = {
    once: Flags.boolean({ description: 'print one look and end: --count 1' }),
    interval: Flags.custom<number>({
      description: 'time between looks, 100ms or more',
      helpValue: 'TIME',
      default: INTERVAL_MS,
      defaultHelp: async () => '1s',
      parse: async (text) => parseDuration(text),
    })(),
    count: Flags.integer({ description: 'print so many looks and end', min: 1, helpValue: 'N' }),
    sort: Flags.option({ description: 'the column by which actors are sorted', options: SORTS })(),
    'read-only': Flags.boolean({ description: 'no key changes anything' }),
  }

  protected override readonly needsConfig = false

  async run(): Promise<void> {
    const { flags } = await this.parse(Top)
    if (flags.interval < INTERVAL_MS_MIN) throw usage(`--interval must be ${INTERVAL_MS_MIN}ms or more`)
    if (flags.once && flags.count !== undefined) throw usage('give --once or --count, not both')
    const source = await this.source(flags)
    try {
      const count = flags.once ? 1 : flags.count
      const isPicture = isTerminal() && process.stdin.isTTY && !flags.json && count === undefined
      if (isPicture) await picture(source, flags)
      else await prints(source, { ...flags, count })
    } finally {
      await source.close()
    }
  }

  private async source(flags: GlobalFlags): Promise<TopSource> {
    const target = await this.target(flags)
    if (typeof target !== 'string') return new TopSource({ name: flags.url!, target, openFiles: null })
    const { config } = await this.locate(flags)
    return new TopSource({ name: target, target, openFiles: () => openEngine(config, { access: 'read' }) })
  }
}

interface TopFlags {
  readonly json: boolean
  readonly interval: number
  readonly count?: number | undefined
  readonly sort?: Sort | undefined
  readonly 'read-only': boolean
}

async function picture(source: TopSource, flags: TopFlags): Promise<void> {
  // ink looks for both when it is loaded: it draws nothing in CI, and colours although NO_COLOR forbids it
  delete process.env['CI']
  if (process.env['NO_COLOR']) process.env['FORCE_COLOR'] = '0'
  const [{ Cockpit }, { runCockpit }] = await Promise.all([
    import('../tui/cockpit.ts'),
    import('../tui/run-cockpit.ts'),
  ])
  let onQuit!: () => void
  const quit = new Promise<void>((resolve) => (onQuit = resolve))
  const color = colors(process.stdout)
  const { interval: intervalMs, sort } = flags
  const cockpit = new Cockpit(source, { intervalMs, isReadOnly: flags['read-only'], color, sort, onQuit })
  await cockpit.start()
  try {
    const signal = await runCockpit(cockpit, quit)
    if (signal !== null) process.exitCode = exitCodeFor(signal)
  } finally {
    cockpit.stop()
  }
}

/** Look after look, until it is interrupted. @throws KUMA_NOT_RUNNING */
async function prints(source: TopSource, { json, interval, count = Infinity, sort = 'rate' }: TopFlags): Promise<void> {
  const wanted = { tab: 'actors', sort, reverse: false, filter: '', offset: 0, limit: ROWS } as const
  await interruptible(async (signal) => {
    for (let n = 0; n < count; n++) {
      if (n > 0) await setTimeout(interval, undefined, { signal })
      const look = await source.look(wanted)
      if (look === null) throw notRunning(source.name)
      const text = json ? JSON.stringify(look) : plainLines(look, source.name, sort).join('\n')
      if (!(await print(text))) return true
    }
    return true
  }, null)
}
