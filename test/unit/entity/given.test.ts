import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { defineEntity } from '../../../src/entity/define-entity.ts'
import { type } from '../../../src/entity/schema.ts'

class Finished extends Error {}

type Score = { phase: 'open'; points: number; seen: string[] } | { phase: 'over'; points: number; at: number }

const Game = defineEntity({
  type: 'game',
  initial: (id): Score => ({ phase: 'open', points: 0, seen: [id] }),
  events: {
    Scored: z.object({ points: z.coerce.number(), by: z.string().default('nobody') }),
    Ended: type<{ reason?: string }>(),
  },
  commands: {
    Score: z.object({ points: z.coerce.number() }),
    End: type<{ reason?: string }>(),
    Odd: type<{ answer?: unknown }>(),
  },
})
  .evolve({
    Scored: (game, { points, by }, { version, at, entity, meta }) =>
      game.phase === 'over'
        ? game
        : {
            ...game,
            points: game.points + points,
            seen: [...game.seen, `${entity} v${version} ${at} ${by} ${meta.by ?? '-'}`],
          },
    Ended: ({ points }, _, { at }) => ({ phase: 'over', points, at }),
  })
  .decide({
    Score: (game, { points }, { meta }) => {
      if (game.phase === 'over') throw new Finished('it is over')
      return points === 0 ? undefined : { type: 'Scored', data: { points: `${points}` }, meta }
    },
    End: async (game) => {
      await null
      if (game.phase === 'over') throw new Finished('it is over')
      return [{ type: 'Scored', data: { points: 1 } }, { type: 'Ended' }]
    },
    Odd: (_, { answer }) => answer as undefined,
  })

describe('given', () => {
  test('folds new events, validated, as those of one entity', () => {
    const { state } = Game.given([
      { type: 'Scored', data: { points: '5' }, meta: { by: 'ann' } },
      { type: 'Scored', data: { points: 2, by: 'bo' } },
    ])
    expect(state).toEqual({ phase: 'open', points: 7, seen: ['given', 'given v1 0 nobody ann', 'given v2 0 bo -'] })
    expect(Game.given([]).state).toEqual({ phase: 'open', points: 0, seen: ['given'] })
  })

  test('gives a state that nobody can change', () => {
    const { state } = Game.given([])
    expect(() => {
      if (state.phase === 'open') state.seen.push('leak')
    }).toThrow(TypeError)
  })

  test('takes `Created` as the first event, declared or not', () => {
    const created = { type: 'Created', data: { points: 40 } } as never
    expect(Game.given([created]).state).toMatchObject({ phase: 'open', points: 40 })
    expect(() => Game.given([{ type: 'Ended' }, created])).toThrow(
      expect.objectContaining({ code: 'KUMA_INVALID_EVENT' }),
    )
  })

  test.each([
    ['an event that is not declared', { type: 'Scord', data: { points: 1 } }, 'KUMA_INVALID_EVENT'],
    ['data that does not fit', { type: 'Scored', data: { points: 'many' } }, 'KUMA_INVALID_EVENT'],
    ['data that JSON cannot hold', { type: 'Ended', data: { reason: 1n } }, 'KUMA_INVALID_DATA'],
    ['a meta that is not one', { type: 'Ended', meta: { by: 7 } }, 'KUMA_INVALID_DATA'],
  ])('refuses %s', (_, event, code) => {
    expect(() => Game.given([event as never])).toThrow(expect.objectContaining({ code }))
  })

  test('takes events of a type that has an upcaster as they were stored, and all others as new ones', () => {
    const Upcasting = Game.upcast({
      Scored: ({ data, meta }) => ({
        type: 'Scored',
        data: { points: data.score ?? data.points, by: meta.by ?? 'old' },
      }),
      Halved: ({ data, entity, version, at }) => ({
        type: 'Scored',
        data: { points: data.of / 2, by: `${entity} ${version} ${at}` },
      }),
    })
    const { state } = Upcasting.given([
      { type: 'Scored', data: { score: 5 }, meta: { by: 'ann' } },
      { type: 'Scored', data: { points: 2 } },
      { type: 'Halved', data: { of: 8 }, at: 1_700 },
    ])
    const seen = ['given', 'given v1 0 ann ann', 'given v2 0 old -', 'given v3 1700 given 3 1700 -']
    expect(state).toEqual({ phase: 'open', points: 11, seen })
    expect(() => Upcasting.given([{ type: 'Ended', data: { reason: 1n } as never }])).toThrow(
      expect.objectContaining({ code: 'KUMA_INVALID_DATA' }),
    )
    expect(() => Upcasting.given([{ type: 'Doubled', data: {} } as never])).toThrow(
      expect.objectContaining({ code: 'KUMA_INVALID_EVENT' }),
    )
  })

  test('what a command decides on is new, whatever has an upcaster', async () => {
    const Upcasting = Game.upcast({ Scored: () => ({ type: 'Scored', data: { points: 100, by: '' } }) })
    const { state } = await Upcasting.given([]).when({ type: 'Score', data: { points: 3 } })
    expect(state.points).toBe(3)
  })

  test('an upcaster that gives something else is told', () => {
    const Upcasting = Game.upcast({ Old: () => ({ type: 'Scord', data: {} }) as never })
    expect(() => Upcasting.given([{ type: 'Old' }])).toThrow(expect.objectContaining({ code: 'KUMA_MODEL_FAILED' }))
  })
})

describe('when', () => {
  test('gives the events as the handler returned them, and the state with them', async () => {
    const { events, state } = await Game.given([{ type: 'Scored', data: { points: 5 } }]).when(
      { type: 'End' },
      { now: 1_700 },
    )
    expect(events).toStrictEqual([{ type: 'Scored', data: { points: 1 } }, { type: 'Ended' }])
    expect(state).toEqual({ phase: 'over', points: 6, at: 1_700 })
    expect(Object.isFrozen(state)).toBe(true)
  })

  test('runs the schemas of the command and of what it decides on', async () => {
    const { events, state } = await Game.given([]).when({ type: 'Score', data: { points: '3' } })
    expect(events).toStrictEqual([{ type: 'Scored', data: { points: '3' }, meta: {} }])
    expect(state.points).toBe(3)
  })

  test('gives no events and the same state if nothing was decided', async () => {
    const open = Game.given([{ type: 'Scored', data: { points: 5 } }])
    const { events, state } = await open.when({ type: 'Score', data: { points: 0 } })
    expect(events).toEqual([])
    expect(state).toBe(open.state)
  })

  test('is told what it is about, or says so itself', async () => {
    const open = Game.given([{ type: 'Ended' }, { type: 'Ended' }])
    const about: unknown[] = []
    const Asking = defineEntity({
      type: 'asking',
      initial: {},
      events: { Asked: type<{ n?: number }>() },
      commands: { Ask: type<{ n?: number }>() },
    })
      .evolve({ Asked: (state) => state })
      .decide({ Ask: (_state, _data, given) => void about.push(given) })
    const asked = Asking.given([{ type: 'Asked' }, { type: 'Asked' }])
    const before = Date.now()
    await asked.when({ type: 'Ask' })
    await asked.when({ type: 'Ask' }, { id: 'a1', version: 9, now: 5, meta: { by: 'ann' } })
    expect(about).toEqual([
      { id: 'given', version: 2, now: expect.any(Number), meta: {} },
      { id: 'a1', version: 9, now: 5, meta: { by: 'ann' } },
    ])
    expect((about[0] as { now: number }).now).toBeGreaterThanOrEqual(before)
    await expect(open.when({ type: 'End' })).rejects.toThrow(Finished)
  })

  test('the events that it decides on are those of the entity it is about', async () => {
    const about = { id: 'g1', version: 9, now: 5, meta: { by: 'ann' } }
    const { state } = await Game.given([]).when({ type: 'Score', data: { points: 1 } }, about)
    expect(state).toMatchObject({ seen: ['given', 'g1 v10 5 nobody ann'] })
  })

  test.each(['Score', 'End'] as const)('rejects with what the handler of %s throws, as it is', async (type) => {
    const over = Game.given([{ type: 'Ended' }])
    await expect(over.when({ type, data: { points: 1 } } as never)).rejects.toSatisfy(
      (error) => error instanceof Finished && error.message === 'it is over',
    )
  })

  test('leaves the state given as it was', async () => {
    const open = Game.given([])
    await open.when({ type: 'Score', data: { points: 1 } })
    await open.when({ type: 'End' })
    expect(open.state).toEqual({ phase: 'open', points: 0, seen: ['given'] })
  })

  test.each([
    ['an unknown command', { type: 'Scor', data: { points: 1 } }, 'KUMA_INVALID_COMMAND'],
    ['data that does not fit', { type: 'Score', data: { points: 'many' } }, 'KUMA_INVALID_COMMAND'],
    ['an answer that is no event', { type: 'Odd', data: { answer: 7 } }, 'KUMA_MODEL_FAILED'],
    ['an event that is not declared', { type: 'Odd', data: { answer: { type: 'Scord' } } }, 'KUMA_INVALID_EVENT'],
  ])('rejects %s', async (_, command, code) => {
    await expect(Game.given([]).when(command as never)).rejects.toMatchObject({ code })
  })
})
