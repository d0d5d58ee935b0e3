import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'
import type { FeedItem } from '../api.ts'
import { BaseCommand, pointOf } from '../cli/base-command.ts'
import { CURSOR_MS, Cursor } from '../cli/cursor.ts'
import { usage } from '../cli/event-data.ts'
import { handOver } from '../cli/hand-over.ts'
import { interruptible } from '../cli/interrupted.ts'
import { tellMistypedEvents, tellMistypedTypes } from '../cli/mistyped.ts'
import { flushed, isPipe, print, timed } from '../cli/output.ts'
import type { Engine, FeedPage, FeedRequest } from '../engine.ts'
import { inOrder } from '../entity/event.ts'
import { isPosition } from '../entity/position.ts'

const BATCH_LINES = 100

export default class Tail extends BaseCommand {
  static override summary = 'Print what is recorded, in the order of the shards, and with -f what comes.'
  static override description =
    'NDJSON: {"kind":"event","position","entityKey","event"}, or {"kind":"erased",...} where an entity was erased. A line\'s position is the place in the store after it: --from goes on there. Lines of one shard come in order, and of the same shard none is missing. With --cursor it goes on where it ended, each line at least once: --exec runs a command with up to --batch lines on stdin, and its exit code 0 moves the cursor past them; any other ends this, with exit code 8. A file as stdout is synced before the cursor moves. Of a pipe nobody can see what its reader has handled: there --cursor alone is refused.'
  static override examples = [
    '<%= config.bin %> tail -f',
    '<%= config.bin %> tail user_1 --from v3',
    '<%= config.bin %> tail --type account --event Deposited --from "2h ago"',
    '<%= config.bin %> tail --cursor mailer.cursor -f --exec ./send-mails',
    '<%= config.bin %> tail --cursor archive.cursor >> archive.ndjson',
  ]
  static override args = { entity: Args.string({ description: 'only this one', ignoreStdin: true }) }
  static override flags = {
    type: Flags.string({
      description: 'only entities of this type; may be repeated',
      multiple: true,
      multipleNonGreedy: true,
    }),
    event: Flags.string({
      description: 'only events of this type; may be repeated',
      multiple: true,
      multipleNonGreedy: true,
      helpValue: 'TYPE',
    }),
    from: Flags.string({
      description: 'after this position; or from a point on: of ENTITY in its history, of all when it was recorded',
      helpValue: 'TOKEN|POINT',
    }),
    cursor: Flags.string({
      description: 'keep the position in this file, and go on from it (then --from counts only for the first time)',
      helpValue: 'FILE',
    }),
    exec: Flags.string({
      description: 'let the shell run this with the lines on stdin, a batch at a time; exit code 0: they are handled',
      helpValue: 'CMD',
    }),
    batch: Flags.integer({
      description: `with --exec: at most so many lines at a time (default: ${BATCH_LINES})`,
      min: 1,
      dependsOn: ['exec'],
      helpValue: 'N',
    }),
    'cursor-on': Flags.string({
      description:
        'with --cursor into a pipe: `write` moves it past what was written, and what its reader had not handled when it died is lost',
      options: ['write'],
      dependsOn: ['cursor'],
      exclusive: ['exec'],
    }),
    follow: Flags.boolean({ char: 'f', description: 'wait for what comes' }),
  }

  protected override readonly needsConfig = false

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Tail)
    const { type: entityTypes, event: types, follow, exec: command, batch: linesMax = BATCH_LINES } = flags
    if (command?.trim() === '') throw usage('--exec needs a command')
    if (flags.cursor !== undefined && command === undefined && flags['cursor-on'] === undefined && isPipe())
      throw unseen()
    const line = flags.json ? timedLineOf : lineOf
    await this.withEngine(flags, { access: 'read' }, async (engine, { config }) => {
      const cursor = flags.cursor === undefined ? null : new Cursor(flags.cursor, engine.store)
      const kept = cursor?.read() ?? { from: fromOf(flags.from), crcs: cursor === null ? undefined : true }
      const request = { id: args.entity, entityTypes, types, ...kept, follow } as const
      // who waits for what never comes would wait for ever
      await tellMistypedTypes(entityTypes ?? [], { engine, config, isAwaited: true })
      await tellMistypedEvents(types ?? [], { engine, config, isAwaited: true })
      await interruptible((signal) => {
        if (command === undefined) return printFeed(engine, { ...request, signal }, cursor, line)
        return handOver(engine, { ...request, signal }, { command, linesMax, lineOf: line, cursor })
      }, null)
    })
  }
}

function unseen() {
  const hint =
    'give the reader as --exec CMD, or send the lines into a file; --cursor-on write accepts that what it had not handled is lost when it dies'
  return usage('stdout is a pipe: nobody sees what its reader has handled, and the cursor would run ahead of it', hint)
}

function fromOf(text: string | undefined): FeedRequest['from'] {
  return text === undefined || isPosition(text) ? text : pointOf(text)
}

/** The cursor follows what has been handed over, also if it ends in between. */
async function printFeed(
  engine: Engine,
  request: FeedRequest,
  cursor: Cursor | null,
  line: (item: FeedItem) => string,
): Promise<true> {
  let page: FeedPage | null = null
  let kept: FeedPage | null = null
  const keep = async () => {
    const reached = page
    if (cursor === null || reached === null || reached === kept || !(await flushed())) return
    cursor.write(reached)
    kept = reached
  }
  const failed = new AbortController()
  const timer = setInterval(() => void keep().catch((error) => failed.abort(error)), CURSOR_MS)
  try {
    const signal = AbortSignal.any([request.signal!, failed.signal])
    for await (const next of engine.feed({ ...request, signal })) {
      if (next.items.length > 0 && !(await print(next.items.map(line).join('\n')))) break
      page = next
    }
    return true
  } finally {
    clearInterval(timer)
    await keep()
  }
}

/** Put together from its parts, most of which need no escaping: half the time of all in one. */
function lineOf(item: FeedItem): string {
  if (item.kind === 'erased') return JSON.stringify(item)
  const { position, entityKey, event } = item
  const { entity, entityType, version, type, at, data, meta } = event
  const names = `"entity":${JSON.stringify(entity)},"entityType":${JSON.stringify(entityType)}`
  const place = `"version":${version},"type":${JSON.stringify(type)},"at":${at},"position":"${event.position}"`
  const content = `"data":${JSON.stringify(data)},"meta":${JSON.stringify(meta)}`
  return `{"kind":"event","position":"${position}","entityKey":"${entityKey}","event":{${names},${place},${content}}}`
}

function timedLineOf(item: FeedItem): string {
  if (item.kind === 'erased') return JSON.stringify(item)
  const { kind, position, entityKey, event } = item
  return JSON.stringify({ kind, position, entityKey, event: timed(inOrder(event)) })
}
