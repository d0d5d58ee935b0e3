import { expect, test } from 'vitest'
import { SlowCalls } from '../../../src/daemon/slow-calls.ts'
import { CallsUnderWay } from '../../../src/daemon/under-way.ts'

/** Calls that end when they are told to, and which of them have begun. */
function places(slowCallsMax: number, slowCallsOfAllMax: number) {
  const calls = new CallsUnderWay()
  const slow = new SlowCalls({ slowCallsMax, slowCallsOfAllMax }, calls)
  const begun: string[] = []
  const ends = new Map<string, () => void>()
  const ask = (client: { id: number }, name: string, signals: AbortSignal[] = []) => {
    const work = () => {
      begun.push(name)
      return new Promise<string>((resolve) => ends.set(name, () => resolve(name)))
    }
    return slow.run(client, calls.begin(client.id, 'blame'), signals, work)
  }
  /** Who has begun since the last time. */
  const next = async () => {
    await new Promise((resolve) => setImmediate(resolve))
    return begun.splice(0)
  }
  return { ask, next, end: (name: string) => ends.get(name)!() }
}

const [a, b, c] = [{ id: 1 }, { id: 2 }, { id: 3 }]

test('so many of a client, in the order in which it asked, and others are not held up', async () => {
  const { ask, next, end } = places(2, 100)
  for (const name of ['a1', 'a2', 'a3', 'a4']) void ask(a, name)
  void ask(b, 'b1')
  expect(await next()).toEqual(['a1', 'a2', 'b1'])
  end('b1')
  expect(await next()).toEqual([])
  end('a2')
  expect(await next()).toEqual(['a3'])
})

test('so many of all, of which the last quarter is for who has none', async () => {
  const { ask, next } = places(10, 4)
  for (const name of ['a1', 'a2', 'a3', 'a4', 'a5']) void ask(a, name)
  for (const name of ['b1', 'b2']) void ask(b, name)
  void ask(c, 'c1')
  expect(await next()).toEqual(['a1', 'a2', 'a3', 'b1'])
})

test('a place goes to who has the fewest, of equal ones to who has waited longest', async () => {
  const { ask, next, end } = places(10, 4)
  for (const name of ['a1', 'a2', 'a3', 'a4']) void ask(a, name)
  for (const name of ['b1', 'b2']) void ask(b, name)
  for (const name of ['c1', 'c2']) void ask(c, name)
  expect(await next()).toEqual(['a1', 'a2', 'a3', 'b1'])
  end('a1')
  expect(await next()).toEqual(['c1'])
  end('a2')
  expect(await next()).toEqual([]) // three are under way: the last place is for who has none
  end('a3')
  expect(await next()).toEqual(['a4'])
  end('a4')
  expect(await next()).toEqual(['b2'])
})

test('also to who came later, if he has fewer', async () => {
  const { ask, next, end } = places(10, 4)
  for (const name of ['a1', 'a2']) void ask(a, name)
  void ask(b, 'b1')
  void ask(a, 'a3')
  void ask(b, 'b2')
  expect(await next()).toEqual(['a1', 'a2', 'b1'])
  end('b1')
  expect(await next()).toEqual(['b2'])
})

test('one whose signal comes never begins, and its place in the line is free', async () => {
  const { ask, next, end } = places(1, 4)
  const stop = new AbortController()
  void ask(a, 'a1')
  const gone = ask(a, 'a2', [new AbortController().signal, stop.signal])
  void ask(a, 'a3')
  expect(await next()).toEqual(['a1'])
  const reason = new Error('gone')
  stop.abort(reason)
  await expect(gone).rejects.toBe(reason)
  end('a1')
  expect(await next()).toEqual(['a3'])
  await expect(ask(a, 'a4', [stop.signal])).rejects.toBe(reason)
  end('a3')
  void ask(a, 'a5')
  expect(await next()).toEqual(['a5'])
})
