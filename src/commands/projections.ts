import { BaseCommand } from '../cli/base-command.ts'
import { iso, note, visible } from '../cli/output.ts'
import { type Column, list } from '../cli/table.ts'
import type { ProjectionInfo } from '../engine.ts'

const COLUMNS: readonly Column<ProjectionInfo>[] = [
  { head: 'projection', text: ({ name }) => name },
  { head: 'state', text: ({ state, building }) => (building === null ? state : `${state}, ${told(building)}`) },
  { head: 'generation', text: ({ generation }) => String(generation ?? ''), align: 'right' },
  { head: 'version', text: ({ version }) => String(version), align: 'right' },
  { head: 'behind', text: ({ lagEvents }) => lagEvents.toLocaleString('en'), align: 'right' },
  { head: 'for', text: ({ lagSeconds }) => (lagSeconds === 0 ? '' : `${lagSeconds.toFixed(1)} s`), align: 'right' },
  { head: 'a second', text: ({ eventsPerSecond }) => Math.round(eventsPerSecond).toLocaleString('en'), align: 'right' },
  { head: 'error', text: ({ error }) => (error === null ? '' : errorText(error)) },
]

function told({ isTrial, lagEvents }: NonNullable<ProjectionInfo['building']>): string {
  return `${isTrial ? 'a trial' : 'a new one'} ${lagEvents.toLocaleString('en')} behind`
}

function errorText({ message, position }: NonNullable<ProjectionInfo['error']>): string {
  return position === null ? message : `at ${position}: ${message}`
}

export default class Projections extends BaseCommand {
  static override summary = 'Tell how read models do: what is projected, how far behind, and what stopped.'
  static override description =
    'A table on a terminal, NDJSON in a pipe, where each also names the events it skipped, and the entities it left out.'
  static override examples = ['<%= config.bin %> projections', '<%= config.bin %> projections --json']

  async run(): Promise<void> {
    const { flags } = await this.parse(Projections)
    const all = await this.withEngine(flags, { access: 'read' }, ({ readModels }) => readModels.list())
    await list(all, COLUMNS, flags.json)
    if (!process.stdout.isTTY || flags.json) return
    for (const { name, skipped, leftOut } of all) {
      for (const { position, reason, at } of skipped) note(`${name} skipped ${position} on ${iso(at)}: ${reason}`)
      for (const { entity, position, at } of leftOut)
        note(visible(`${name} left out ${entity} at ${position} on ${iso(at)}: its state is too large`))
    }
  }
}
