import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'
import type { FeedItem } from '../api.ts'
import { BaseCommand, pointOf } from '../cli/base-command.ts'
import { Cursor } from '../cli/cursor.ts'
import { interruptible } from '../cli/interrupted.ts'
import { flushed, print } from '../cli/output.ts'
import type { Engine, FeedPage, FeedRequest } from '../engine.ts'
import { isPosition } from '../entity/position.ts'

/** A cursor is written so often: each time costs an fsync. */
const CURSOR_MS = 500

export default class Tail extends BaseCommand {
  static override summary = 'Print what is recorded, in the order of the shards, and with -f what comes.'
  static override description =
    'NDJSON: {"kind":"event","position","entityKey","event"}, or {"kind":"erased",...} where an entity was erased. A line\'s position is the place in the store after it: --from goes on there. Lines of one shard come in order, and of the same shard none is missing. With --cursor it goes on where it ended, each line at least once.'
  static override examples = [
    '<%= config.bin %> tail -f',
    '<%= config.bin %> tail user_1 --from v3',
    '<%= config.bin %> tail --type account --event Deposited --from "2h ago"',
    '<%= config.bin %> tail --cursor mailer.cursor -f | ./send-mails',
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
    follow: Flags.boolean({ char: 'f', description: 'wait for what comes' }),
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Tail)
    const { type: entityTypes, event: types, follow } = flags
    await this.withEngine(flags, { access: 'read' }, async (engine) => {
      const cursor = flags.cursor === undefined ? null : new Cursor(flags.cursor, engine.store)
      const kept = cursor?.read() ?? { from: fromOf(flags.from), crcs: cursor === null ? undefined : true }
      const request = { id: args.entity, entityTypes, types, ...kept, follow } as const
      await interruptible((signal) => printFeed(engine, { ...request, signal }, cursor), null)
    })
  }
}

function fromOf(text: string | undefined): FeedRequest['from'] {
  return text === undefined || isPosition(text) ? text : pointOf(text)
}

/** The cursor follows what has been handed over, also if it ends in between. */
async function printFeed(engine: Engine, request: FeedRequest, cursor: Cursor | null): Promise<true> {
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
      if (next.items.length > 0 && !(await print(next.items.map(lineOf).join('\n')))) break
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
