import { describe, expect, test } from 'vitest'
import {
  areTimelines,
  newestOf,
  sharedWith,
  stretchesOf,
  type Timeline,
  timelineAt,
  withTimeline,
} from '../../../src/entity/timeline.ts'

const [A, B, C] = ['aaaaaaaa', 'bbbbbbbb', 'cccccccc']

/** Each came from the one before it. */
function chain(...parted: Timeline['parted'][]): readonly Timeline[] {
  return parted.reduce<readonly Timeline[]>((list, one, i) => withTimeline(list, [A, B, C][i]!, one), [])
}

const at = (timelines: readonly Timeline[], shard: number, seqs: readonly number[]) =>
  seqs.map((seq) => timelineAt(stretchesOf(timelines, shard), seq))

test('a store as it was made has one without a name', () => {
  expect(newestOf(undefined)).toBe(null)
  expect(stretchesOf(undefined, 0)).toEqual([])
  expect(sharedWith(undefined, null)!(0)).toBe(Number.POSITIVE_INFINITY)
  expect(sharedWith(undefined, A)).toBe(null)
})

test('each comes from the newest', () => {
  expect(chain({ 0: 3 }, {})).toEqual([
    { id: A, from: null, parted: { 0: 3 } },
    { id: B, from: A, parted: {} },
  ])
})

describe('an event is of the timeline in which it was recorded', () => {
  test('up to where one parted it is of the one before', () => {
    const timelines = chain({ 0: 3 }, { 0: 5, 1: 2 })
    expect(at(timelines, 0, [1, 3, 4, 5, 6])).toEqual([null, null, A, A, B])
    expect(at(timelines, 1, [1, 2, 3])).toEqual([A, A, B])
    expect(at(timelines, 2, [1])).toEqual([B])
  })

  test('a restore to before a restore leaves nothing of that one', () => {
    expect(at(chain({ 0: 5 }, { 0: 3 }), 0, [3, 4, 5, 6])).toEqual([null, B, B, B])
    expect(at(chain({ 0: 5 }, { 0: 5 }), 0, [5, 6])).toEqual([null, B])
    expect(at(chain({ 0: 5 }, { 0: 8 }, { 0: 6 }), 0, [5, 6, 7])).toEqual([null, A, C])
  })
})

describe('two timelines share their events', () => {
  test.each([
    ['the newest with itself: all', chain({ 0: 3 }), A, Number.POSITIVE_INFINITY],
    ['the one that it came from: up to where it parted', chain({ 0: 3 }), null, 3],
    ['one further back: up to the first parting', chain({ 0: 5 }, { 0: 9 }), null, 5],
    ['one further back, when it was set back more: up to there', chain({ 0: 5 }, { 0: 3 }), null, 3],
    ['the one in between', chain({ 0: 5 }, { 0: 9 }), A, 9],
    ['a shard that had not begun: nothing', chain({ 1: 3 }), null, 0],
    ['across a fork: nothing', chain({ 0: 9 }, {}, { 0: 4 }), A, 0],
    ['the fork itself', chain({ 0: 9 }, {}, { 0: 4 }), B, 4],
  ])('%s', (_, timelines, id, shared) => {
    expect(sharedWith(timelines, id)!(0)).toBe(shared)
  })

  test('and two that both came from a third, up to where the first of them parted', () => {
    const timelines = [...chain({ 0: 7 }), { id: B, from: null, parted: { 0: 4 } }]
    expect(sharedWith(timelines, A)!(0)).toBe(4)
    expect(sharedWith([timelines[1]!, timelines[0]!], B)!(0)).toBe(4)
  })
})

test.each<[unknown, boolean]>([
  [[], true],
  [chain({ 0: 1 }, {}), true],
  [{}, false],
  [[null], false],
  [[{ id: 'A', from: null, parted: {} }], false],
  [[{ id: A, from: B, parted: {} }], false],
  [[{ id: A, parted: {} }], false],
  [[{ id: A, from: A, parted: {} }], false],
  [[{ id: A, from: null }], false],
  [[{ id: A, from: null, parted: { 0: -1 } }], false],
  [[{ id: A, from: null, parted: { 0: '3' } }], false],
  [[...chain({}), ...chain({})], false],
])('%j is a list of them: %s', (value, is) => {
  expect(areTimelines(value)).toBe(is)
})
