import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'
import { BaseCommand, pointOf, timeIn } from '../cli/base-command.ts'
import { checkWord, usage } from '../cli/event-data.ts'
import { eventLine } from '../cli/event-line.ts'
import { tellMistypedTypes } from '../cli/mistyped.ts'
import { isTerminal, prettyJson, print, timed } from '../cli/output.ts'
import { envelope, printState } from '../cli/print-state.ts'
import { counted } from '../cli/progress.ts'
import { step } from '../cli/step.ts'
import type { Engine, EngineReplayRange, RecordedStep } from '../engine.ts'
import { writeJson } from '../entity/json.ts'
import type { ResolvedPoint } from '../entity/time.ts'
import { KumaError } from '../errors.ts'
import { nearest } from '../nearest.ts'

export default class Replay extends BaseCommand {
  static override summary = 'Show how an entity came to be, or what it was at a point in the past; or all of them.'
  static override description =
    'Without --at: every event with the state after it, oldest first. POINT is v3 (a version), 2026-11-01, 2026-11-01T09:30Z, 2026-11 (its first instant), 2h (ago), yesterday, now, or milliseconds since 1970. Both ends of a range are inclusive. With --all: NDJSON of every entity as it was.'
  static override examples = [
    '<%= config.bin %> replay user_1',
    '<%= config.bin %> replay user_1 --at v1',
    '<%= config.bin %> replay user_1 --at 2026-11-01',
    '<%= config.bin %> replay user_1 --from v2 --to yesterday',
    '<%= config.bin %> replay user_1 --until-event PlanChanged',
    '<%= config.bin %> replay user_1 --step',
    '<%= config.bin %> replay --all --at 2026-11-01 > then.ndjson',
  ]
  static override args = { entity: Args.string({ description: 'the id', ignoreStdin: true }) }
  static override flags = {
    at: Flags.string({ description: 'the state at this point, in the form of `read`', helpValue: 'POINT' }),
    from: Flags.string({ description: 'the first event shown', helpValue: 'POINT' }),
    to: Flags.string({ description: 'the last event shown', helpValue: 'POINT' }),
    'until-event': Flags.string({ description: 'end with the first event of this type', helpValue: 'TYPE' }),
    step: Flags.boolean({ description: 'on a terminal: walk through it with arrow keys, from --at' }),
    all: Flags.boolean({ description: 'every entity, now or at a time', default: false }),
    prefix: Flags.string({ description: 'with --all: only ids that begin like this', dependsOn: ['all'] }),
    type: Flags.string({ description: 'with --all: only entities of this type', dependsOn: ['all'] }),
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Replay)
    if (flags.all === (args.entity !== undefined)) throw usage('give either ENTITY or --all')
    const untilEvent = flags['until-event']
    const isRange = (flags.from ?? flags.to ?? untilEvent) !== undefined
    if (flags.all && (isRange || flags.step)) throw usage('--all shows states, not events: it takes only --at')
    if (flags.at !== undefined && isRange && !flags.step)
      throw usage('--at is one point, --from, --to and --until-event are a range: give one or the other')
    if (flags.step && (untilEvent !== undefined || flags.json || !isTerminal() || !process.stdin.isTTY))
      throw usage('--step is for a terminal, and goes with --from, --to and --at only')
    checkWord(flags.prefix, 'the prefix')
    const [at, from, to] = [pointOf(flags.at), pointOf(flags.from), pointOf(flags.to)]
    const id = args.entity
    await this.withEngine(flags, { access: 'read' }, async (engine, { config }) => {
      if (id === undefined) {
        const count = await printAll(engine, flags)
        if (count === 0 && flags.type !== undefined) await tellMistypedTypes([flags.type], { engine, config })
      } else if (flags.step) await walk(engine, id, { at, from, to })
      else if (at !== undefined) await printState(await engine.inspect(id, at), flags.json)
      else
        await printSteps(engine, id, { from, to, untilEvent }, flags.json ? timedLine : isTerminal() ? paragraph : line)
    })
  }
}

async function printAll(
  engine: Engine,
  flags: { at?: string | undefined; prefix?: string | undefined; type?: string | undefined; json: boolean },
): Promise<number> {
  const { prefix, type } = flags
  const at = timeIn(flags.at, '--all')
  const all = engine.inspectAll({ at, prefix, type })
  // on a terminal the data itself shows how it goes on
  let count = 0
  for await (const inspected of isTerminal() ? all : counted(all, 'entities')) {
    count++
    if (!(await print(envelope(inspected, flags.json)))) break
  }
  return count
}

async function printSteps(
  engine: Engine,
  id: string,
  range: EngineReplayRange,
  format: (step: RecordedStep) => string,
): Promise<void> {
  const { untilEvent } = range
  const types = new Set<string>()
  for await (const step of engine.replay(id, range)) {
    if (untilEvent !== undefined) types.add(step.event.type)
    if (!(await print(format(step)))) return
  }
  if (untilEvent === undefined || types.has(untilEvent)) return
  const meant = nearest(untilEvent, [...types])
  const hint = meant === undefined ? undefined : `did you mean ${meant}?`
  throw new KumaError('KUMA_NOT_FOUND', `${id} has no event ${untilEvent} in that range`, { entity: id }, { hint })
}

/** Both ends are looked up once: what is appended meanwhile is not walked to. */
async function walk(
  engine: Engine,
  id: string,
  { at, from, to }: { [point in 'at' | 'from' | 'to']: ResolvedPoint | undefined },
): Promise<void> {
  const last = (await engine.inspect(id, to)).version
  let first = 1
  for await (const { version } of engine.log({ id, from, to, limit: 1 })) first = version
  const start = at === undefined ? first : (await engine.inspect(id, at)).version
  await step(engine, id, { first, last, start: Math.max(first, Math.min(last, start)) })
}

function line(step: RecordedStep): string {
  return writeJson(rowOf(step), 'a step')
}

function timedLine(step: RecordedStep): string {
  return writeJson(timed(rowOf(step)), 'a step')
}

function rowOf({ event: { version, type, at, data, meta }, state }: RecordedStep) {
  return { version, type, at, data, meta, state }
}

function paragraph({ event, state }: RecordedStep): string {
  return `${eventLine(event)}\n${prettyJson(state).replace(/^/gm, '    ')}`
}
