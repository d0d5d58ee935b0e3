import { expect, test } from 'vitest'
import { breathe, inSlice, inSlices, LISTS, PAST, PRESENT } from '../../../src/store/slices.ts'

function busy(ms: number): void {
  const end = performance.now() + ms
  while (performance.now() < end);
}

/** Work of `steps` steps of a millisecond each, which notes when it takes one. */
function* work(name: string, steps: number, notes: string[]): Generator<void, string> {
  for (let i = 0; i < steps; i++) {
    notes.push(name)
    busy(1)
    yield
  }
  return name
}

test('what fits into a slice is done at once', async () => {
  await breathe()
  function* short(): Generator<void, string> {
    yield
    return 'a'
  }
  expect(inSlices(short(), PAST)).toBe('a')
})

test('more than that is done over several turns, by all who have work in turn', async () => {
  await breathe()
  const notes: string[] = []
  let turns = 0
  const count = () => {
    turns++
    ticking = setImmediate(count)
  }
  let ticking = setImmediate(count)
  const done = await Promise.all(['a', 'b', 'c'].map((name) => inSlices(work(name, 10, notes), PAST)))
  clearImmediate(ticking)
  expect(done).toEqual(['a', 'b', 'c'])
  // 30 ms of work, at most 5 (and the step that goes over it) in a turn
  expect(turns).toBeGreaterThanOrEqual(4)
  expect(notes.indexOf('b')).toBeLessThan(notes.lastIndexOf('a'))
  expect(notes.indexOf('c')).toBeLessThan(notes.lastIndexOf('a'))
})

test('of hundreds, 64 take turns and the others wait in line', async () => {
  await breathe()
  const begun = new Set<string>()
  const ended: string[] = []
  let most = 0
  function* waiting(name: string): Generator<void, void> {
    begun.add(name)
    for (let i = 0; i < 3; i++) yield
    most = Math.max(most, begun.size - ended.length)
    ended.push(name)
  }
  const first = inSlices(work('long', 8, []), PRESENT)
  await Promise.all([first, ...Array.from({ length: 300 }, (_, i) => inSlices(waiting(`w${i}`), PRESENT))])
  expect(ended).toHaveLength(300)
  expect(most).toBeLessThanOrEqual(64)
})

test('work that throws rejects, and the others go on', async () => {
  await breathe()
  function* failing(): Generator<void, void> {
    busy(6)
    yield
    throw new Error('no')
  }
  const failed = inSlices(failing(), PAST)
  const other = inSlices(work('a', 3, []), PAST)
  await expect(failed).rejects.toThrow('no')
  expect(await other).toBe('a')
})

test('what is waited for now goes before the questions, and a list has its turn among them', async () => {
  await breathe()
  const ended: string[] = []
  const end = (name: string) => ended.push(name)
  const questions = Array.from({ length: 10 }, async () => end(await inSlices(work('past', 12, []), PAST)))
  const present = Promise.resolve(inSlices(work('present', 40, []), PRESENT)).then(end)
  const list = Promise.resolve(inSlice(() => 'list', LISTS)).then(end)
  await Promise.all([present, list])
  expect(new Set(ended)).toEqual(new Set(['present', 'list']))
  await Promise.all(questions)
})

test('a question has a step in each turn, however much is waited for now', async () => {
  await breathe()
  let over = false
  function* endless(): Generator<void, void> {
    while (!over) {
      busy(1)
      yield
    }
  }
  const present = inSlices(endless(), PRESENT)
  expect(await inSlices(work('past', 8, []), PAST)).toBe('past')
  over = true
  await present
})

test('a signal ends what is under way before its next step, and one that waits never begins', async () => {
  await breathe()
  const notes: string[] = []
  const stop = new AbortController()
  const gone = new Error('gone')
  const long = Array.from({ length: 256 }, (_, i) => inSlices(work(`long${i}`, 1, []), PAST))
  const asked = ['first', 'last'].map((name) => inSlices(work(name, 1, notes), PAST, stop.signal))
  stop.abort(gone)
  const rejected = { status: 'rejected', reason: gone }
  expect(await Promise.allSettled(asked)).toEqual([rejected, rejected])
  await Promise.all(long)
  expect(notes).toEqual([])
  const leaving = new AbortController()
  const running = inSlices(work('running', 1_000, notes), PAST, leaving.signal)
  leaving.abort(gone)
  await expect(running).rejects.toBe(gone)
  const { length } = notes
  expect(length).toBeGreaterThan(0)
  for (let turn = 0; turn < 5; turn++) await breathe()
  expect(notes).toHaveLength(length)
})
