import { resolve } from 'node:path'
import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'
import { BaseCommand, timeIn } from '../cli/base-command.ts'
import { checkWord, usage } from '../cli/event-data.ts'
import { interruptible } from '../cli/interrupted.ts'
import { isTerminal, note, print } from '../cli/output.ts'
import { progressBar } from '../cli/progress.ts'
import { forkStore } from '../kuma.ts'

export default class Fork extends BaseCommand {
  static override summary = 'Make another store of the history up to a time, to try things out.'
  static override description =
    'The whole store, or some entities: with their events up to then, and verified. The store may be in use meanwhile. A fork is a store of its own: what is erased here later stays there. Never leaves half a store under its name.'
  static override examples = [
    '<%= config.bin %> fork try --at 2026-11-01',
    '<%= config.bin %> fork ann --entity user_1',
    '<%= config.bin %> fork accounts --type account --at "2h ago"',
  ]
  static override args = {
    store: Args.string({ description: 'where it is to be: a new or empty folder', required: true, ignoreStdin: true }),
  }
  static override flags = {
    at: Flags.string({ description: 'without what happened later (default: all there is)', helpValue: 'TIME' }),
    entity: Flags.string({ description: 'only this entity', helpValue: 'ID' }),
    prefix: Flags.string({ description: 'only entities whose ids begin like this' }),
    type: Flags.string({ description: 'only entities of this type' }),
  }

  protected override readonly needsConfig = false

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Fork)
    const { entity, prefix, type } = flags
    if (entity !== undefined && (prefix ?? type) !== undefined)
      throw usage('give either --entity, or --prefix and --type')
    checkWord(prefix, 'the prefix')
    const { config } = await this.locate(flags)
    const at = timeIn(flags.at, 'a fork')
    const bar = progressBar('events')
    const onProgress = ({ events, part }: { events: number; part: number }) => bar.update(events, part)
    const forked = await interruptible(
      (signal) => forkStore(config, resolve(args.store), { at, entity, prefix, type, signal, onProgress }),
      'there is no fork',
    ).finally(() => bar.stop())
    if (forked === null) return
    const { path, entities, events } = forked
    if (flags.json || !isTerminal()) await print(JSON.stringify(forked))
    else await print(`ok ${path}: entities ${entities}, events ${events}`)
    note('it is a store of its own: what is erased in this one stays in it')
  }
}
