import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { describe, expect, test, vi } from 'vitest'
// @ts-expect-error a script, without types
import { flightLines } from '../../fixtures/make-flights.js'
import { Airport } from '../../fixtures/models/airport.ts'
import config from '../../fixtures/models/kuma.config.ts'
import { definitionOf } from '../../src/entity/define-entity.ts'
import type { RecordedEvent } from '../../src/entity/event.ts'
import { deepFreeze, evolve, initialState } from '../../src/entity/fold.ts'
import { cleanJson } from '../../src/entity/json.ts'

// the models import the package by its name: here it is the source, so that no build is needed
vi.mock('kuma', () => import('../../src/index.ts'))

interface Flight {
  readonly entity: string
  readonly entityType: string
  readonly type: string
  readonly at: number
  readonly data: { readonly destination: string; readonly delay: number; readonly distance: number }
  readonly requestKey: string
}

const bytes = readFileSync(new URL('../../fixtures/flights.ndjson.gz', import.meta.url))
const text = gunzipSync(bytes).toString()
const flights = text
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line) as Flight)

describe('flights.ndjson.gz', () => {
  test('is what make-flights.js makes', () => {
    expect((flightLines() as string[]).join('') === text).toBe(true)
    // neither a time nor an operating system in the header
    expect([...bytes.subarray(4, 8), bytes[9]]).toEqual([0, 0, 0, 0, 255])
  })

  test('has 20,000 departures in order of time, each with a request key of its own', () => {
    expect(flights).toHaveLength(20_000)
    expect(flights.every(({ at }, i) => i === 0 || at >= flights[i - 1]!.at)).toBe(true)
    expect(new Set(flights.map(({ requestKey }) => requestKey)).size).toBe(flights.length)
    expect(flights[0]).toEqual({
      entity: 'DTW',
      entityType: 'airport',
      type: 'Departed',
      at: Date.UTC(2001, 0, 1, 0, 47),
      data: { destination: 'LAS', delay: 66, distance: 1750 },
      requestKey: 'flight-1',
    })
  })
})

describe('the model of airports', () => {
  test('folds all flights, and changes no state that it has given', () => {
    const definition = definitionOf(Airport)
    const states = new Map<string, unknown>()
    flights.forEach(({ entity, type, at, data }, i) => {
      const event: RecordedEvent = {
        type,
        data: cleanJson(data, 'it'),
        entity,
        entityType: 'airport',
        version: i,
        position: '000:1',
        at,
        meta: {},
      }
      const before = deepFreeze(states.get(entity) ?? initialState(definition, entity))
      states.set(entity, evolve(definition, before, event))
    })
    expect(states.size).toBe(220)

    const of = (airport: string) => flights.filter(({ entity }) => entity === airport).map(({ data }) => data)
    const denver = of('DEN')
    const sum = (numbers: readonly number[]) => numbers.reduce((total, n) => total + n, 0)
    expect(states.get('DEN')).toMatchObject({
      flights: denver.length,
      delays: sum(denver.map(({ delay }) => delay).filter((delay) => delay > 0)),
      distance: sum(denver.map(({ distance }) => distance)),
      byDestination: { SFO: denver.filter(({ destination }) => destination === 'SFO').length },
    })
  })

  test('is what the config names', () => {
    expect(config.entities).toEqual([Airport])
    expect(config.ids).toEqual({ '*': Airport })
  })
})
