import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'
import { BaseCommand, pointOf } from '../cli/base-command.ts'
import { usage } from '../cli/event-data.ts'
import { iso, isTerminal, prettyJson, print, visible } from '../cli/output.ts'
import { printState } from '../cli/print-state.ts'
import type { RecordedStep } from '../engine.ts'

export default class Replay extends BaseCommand {
  static override summary = 'Show how an entity came to be, or what it was at a point in the past.'
  static override description =
    'Without --at: every event with the state after it, oldest first. POINT is v3 (a version), 2026-11-01, 2026-11-01T09:30Z, "2h ago", yesterday, now, or milliseconds since 1970. Both ends of a range are inclusive.'
  static override examples = [
    '<%= config.bin %> replay user_1',
    '<%= config.bin %> replay user_1 --at v1',
    '<%= config.bin %> replay user_1 --at 2026-11-01',
    '<%= config.bin %> replay user_1 --from v2 --to yesterday',
  ]
  static override args = { entity: Args.string({ description: 'the id', required: true, ignoreStdin: true }) }
  static override flags = {
    at: Flags.string({ description: 'the state at this point, in the form of `read`', helpValue: 'POINT' }),
    from: Flags.string({ description: 'the first event shown', helpValue: 'POINT' }),
    to: Flags.string({ description: 'the last event shown', helpValue: 'POINT' }),
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Replay)
    const [at, from, to] = [pointOf(flags.at), pointOf(flags.from), pointOf(flags.to)]
    if (at !== undefined && (from ?? to) !== undefined)
      throw usage('--at is one point, --from and --to are a range: give one or the other')
    await this.withEngine(flags, { access: 'read' }, async (engine) => {
      if (at !== undefined) return printState(await engine.inspect(args.entity, at), flags.json)
      const format = flags.json || !isTerminal() ? line : paragraph
      for await (const step of engine.replay(args.entity, { from, to })) {
        if (!(await print(format(step)))) return
      }
    })
  }
}

function line({ event: { version, type, at, data, meta }, state }: RecordedStep): string {
  return JSON.stringify({ version, type, at, data, meta, state })
}

function paragraph({ event, state }: RecordedStep): string {
  const by = event.meta.by === undefined ? '' : `  by ${event.meta.by}`
  const head = visible(`v${event.version}  ${iso(event.at)}  ${event.type} ${JSON.stringify(event.data)}${by}`)
  return `${head}\n${prettyJson(state).replace(/^/gm, '    ')}`
}
