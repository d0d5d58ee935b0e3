import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'
import {
  BaseCommand,
  expectVersionFlag,
  metaFlag,
  requestKeyFlag,
  requestMeta,
  writeFlags,
} from '../cli/base-command.ts'
import { checkWord, usage } from '../cli/event-data.ts'
import { eventsOf } from '../cli/events-of.ts'
import { tellLookalikes } from '../cli/lookalikes.ts'
import { note, print, timed, visible } from '../cli/output.ts'
import type { AppendRequest } from '../engine.ts'
import { DOCUMENT } from '../entity/document.ts'
import { parseTime } from '../entity/time.ts'

export default class Append extends BaseCommand {
  static override summary = 'Record an event. Prints `ok` when it is on disk.'
  static override description =
    `DATA is pairs (key=text, key:=json) or one JSON object; none is {}. With - it is read from stdin: one object after a TYPE, or, in the place of the TYPE, NDJSON lines {"type","data"?,"meta"?,"at"?} that are recorded together or not at all.`
  static override examples = [
    '<%= config.bin %> append user_1 SignedUp email=ann@example.org plan=free',
    '<%= config.bin %> append user_1 SeatsChanged seats:=5 --expect-version 2',
    `<%= config.bin %> append order_7 Placed '{"lines":[{"sku":"A1","count":2}]}' --request-key 6d3f`,
    'cat events.ndjson | <%= config.bin %> append user_1 -',
  ]
  static override args = {
    entity: Args.string({ description: 'the id', required: true, ignoreStdin: true }),
    type: Args.string({ description: "the event's type, or - for NDJSON on stdin", required: true, ignoreStdin: true }),
    data: Args.string({ description: 'key=text, key:=json, one JSON object, or -', multiple: true, ignoreStdin: true }),
  }
  static override flags = {
    type: Flags.string({
      description: "the entity's type (default for a new one: what the config's ids say, or document)",
    }),
    at: Flags.string({ description: 'when it happened, if not now', helpValue: 'TIME' }),
    ...expectVersionFlag,
    ...requestKeyFlag,
    ...metaFlag,
    ...writeFlags,
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Append)
    const at = flags.at === undefined ? undefined : parseTime(flags.at)
    checkWord(args.entity, 'the id')
    checkWord(args.type, 'the type')
    const meta = requestMeta(flags)
    const events = await eventsOf(args.type, args.data ?? [], at)
    if (events.length === 0) throw usage('there is no event on stdin')
    await this.withEngine(flags, { access: 'write', committer: 'inline' }, async (engine, { typeFor }) => {
      const request: AppendRequest = {
        id: args.entity,
        type: flags.type,
        newType: flags.type ?? typeFor(args.entity) ?? DOCUMENT,
        events,
        expectedVersion: flags['expect-version'],
        requestKey: flags['request-key'],
        meta,
      }
      const { version, position, at: recordedAt, repeated } = await engine.append(request)
      const answer = { entity: args.entity, version, position, at: recordedAt }
      await print(flags.json ? JSON.stringify(timed(answer)) : `ok ${visible(args.entity)} v${version} ${position}`)
      if (repeated) note('this request key was used before: nothing was recorded, this is the first answer')
      // so that `amount=50` is seen to be a text
      else if (process.stderr.isTTY)
        for (const { type, data } of events) note(visible(`${type} ${JSON.stringify(data ?? {})}`))
      if (version === events.length) await tellLookalikes(engine, args.entity, 'made now')
    })
  }
}
