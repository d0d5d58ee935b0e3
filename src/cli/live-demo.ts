/** Real flights, recorded through a daemon at a steady rate, for whoever wants to watch. */
import { readFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { gunzipSync } from 'node:zlib'
import { Client, engineOf } from '../daemon/client.ts'
import type { Engine } from '../engine.ts'
import { isKumaError } from '../errors.ts'

const TICK_MS = 50
/** One of so many is a read. */
const READ_EVERY = 4

interface Flight {
  readonly entity: string
  readonly entityType: string
  readonly type: string
  readonly data: unknown
}

/** Until `signal` ends it, or the daemon does. @param file of flights, as NDJSON in gzip */
export async function driveFlights(store: string, file: string, perSecond: number, signal: AbortSignal): Promise<void> {
  const flights = gunzipSync(readFileSync(file)).toString().trimEnd().split('\n')
  const engine = engineOf(await Client.connect(store, { reconnect: false }))
  const listening = listen(engine, signal)
  try {
    await drive(engine, flights, perSecond, signal)
    await listening
  } catch (error) {
    if (!signal.aborted && !isKumaError(error, 'KUMA_CLOSED', 'KUMA_INDETERMINATE', 'KUMA_DISCONNECTED')) throw error
  } finally {
    await engine.close()
  }
}

async function drive(
  engine: Engine,
  flights: readonly string[],
  perSecond: number,
  signal: AbortSignal,
): Promise<void> {
  const flightOf = (n: number) => JSON.parse(flights[n % flights.length]!) as Flight
  const append = (n: number) => {
    const { entity: id, entityType, type, data } = flightOf(n)
    return engine.append({ id, newType: entityType, events: [{ type, data }], meta: { by: 'demo' } })
  }
  /** An airport of a second ago, which is there by now. */
  const read = (n: number) => engine.inspect(flightOf(n - (n % READ_EVERY)).entity)
  const begun = performance.now()
  let [done, failed] = [0, null as Error | null]
  while (failed === null) {
    const due = Math.floor(((performance.now() - begun) / 1_000) * perSecond)
    for (; done < due; done++) {
      const asked = done % READ_EVERY === READ_EVERY - 1 && done > perSecond ? read(done - perSecond) : append(done)
      asked.catch((error: Error) => (failed ??= error))
    }
    await setTimeout(TICK_MS, undefined, { signal })
  }
  throw failed
}

/** So that there is a subscriber to be seen. */
async function listen(engine: Engine, signal: AbortSignal): Promise<void> {
  try {
    for await (const _ of engine.feed({ from: 'now', follow: true, signal }));
  } catch (error) {
    if (!signal.aborted && !isKumaError(error, 'KUMA_DISCONNECTED', 'KUMA_CLOSED')) throw error
  }
}
