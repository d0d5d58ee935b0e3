/** An event as one line for people. */
import type { RecordedEvent } from '../entity/event.ts'
import { iso, visible } from './output.ts'
import { told } from './told.ts'

export function eventLine({ version, at, type, data, meta }: RecordedEvent): string {
  const who = told(meta)
  return visible(`v${version}  ${iso(at)}  ${type} ${JSON.stringify(data)}${who === '' ? '' : `  by ${who}`}`)
}
