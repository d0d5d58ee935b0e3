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
import { checkWord } from '../cli/event-data.ts'
import { dataOf } from '../cli/events-of.ts'
import { tellLookalikes } from '../cli/lookalikes.ts'
import { note, print, visible } from '../cli/output.ts'

export default class Execute extends BaseCommand {
  static override summary = 'Have the model decide a command, and record what comes of it.'
  static override description =
    'Where there is no such entity, the command is decided on the initial state, and what comes of it begins one; nothing is left behind where it is refused (exit code 4) or nothing comes of it. DATA is pairs (key=text, key:=json) or one JSON object, or - for one on stdin; none is {}.'
  static override examples = [
    '<%= config.bin %> execute order_7 Place customer=ann items:=3',
    `<%= config.bin %> execute order_7 Pay '{"cents":1250}' --request-key 6d3f`,
    '<%= config.bin %> execute order_7 Ship --expect-version 2 --as bob',
  ]
  static override args = {
    entity: Args.string({ description: 'the id', required: true, ignoreStdin: true }),
    command: Args.string({ description: 'its name, as the definition declares it', required: true, ignoreStdin: true }),
    data: Args.string({ description: 'key=text, key:=json, one JSON object, or -', multiple: true, ignoreStdin: true }),
  }
  static override flags = {
    type: Flags.string({ description: "the entity's type (default for a new one: what the config's ids say)" }),
    ...expectVersionFlag,
    ...requestKeyFlag,
    ...metaFlag,
    ...writeFlags,
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Execute)
    const { entity: id, command: type } = args
    checkWord(id, 'the id')
    checkWord(type, 'the command')
    const meta = requestMeta(flags)
    const command = { type, data: await dataOf(args.data ?? []) }
    await this.withEngine(flags, { access: 'write', committer: 'inline' }, async (engine, { typeFor }) => {
      const { version, position, at, events, state, repeated } = await engine.execute({
        id,
        type: flags.type,
        newType: flags.type ?? typeFor(id) ?? null,
        command,
        expectedVersion: flags['expect-version'],
        requestKey: flags['request-key'],
        meta,
      })
      if (flags.json) await print(JSON.stringify({ entity: id, version, position, at, events, state }))
      else await print(`ok ${visible(id)} v${version}${version > 0 ? ` ${position}` : ''}`)
      if (repeated) note('this request key was used before: nothing was recorded, this is the first answer')
      else if (events.length === 0) note(`nothing came of ${visible(type)}: nothing was recorded`)
      else if (!flags.json) for (const event of events) note(visible(`${event.type} ${JSON.stringify(event.data)}`))
      if (events.length > 0 && version === events.length) await tellLookalikes(engine, id, 'made now')
    })
  }
}
