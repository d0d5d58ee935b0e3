/** Somebody who takes one id for another would add to the wrong entity, or leave somebody's data behind. */
import type { Engine } from '../engine.ts'
import { lookalikesOf } from '../entity/lookalikes.ts'
import { isKumaError } from '../errors.ts'
import { note } from './output.ts'

/**
 * A line for each entity whose id looks like this one.
 * @param what is done to this one: "exported"
 * @param too those to whom the same is done
 */
export async function tellLookalikes(
  engine: Engine,
  id: string,
  what: string,
  too: readonly string[] = [],
): Promise<void> {
  for (const other of lookalikesOf(id)) {
    if (too.includes(other)) continue
    const found = await findOrNull(engine, other)
    if (found !== null)
      note(
        `there is another entity whose id looks the same: ${spelled(other)} v${found.version}; ${what}: ${spelled(id)}`,
      )
  }
}

/** What is too long as an id, decomposed, is nobody's. */
async function findOrNull(engine: Engine, id: string) {
  try {
    return await engine.find(id)
  } catch (error) {
    if (isKumaError(error, 'KUMA_INVALID_ID')) return null
    throw error
  }
}

/** So that what looks the same does not. */
function spelled(id: string): string {
  return JSON.stringify(id).replace(/[^ -~]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
