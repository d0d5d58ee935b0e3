import { expect, test } from 'vitest'
import { checkId } from '../../../src/entity/id.ts'
import { isKumaError } from '../../../src/errors.ts'

function refusal(id: unknown, what?: string): { message: string; id: string } {
  try {
    checkId(id, what)
  } catch (error) {
    if (isKumaError(error, 'KUMA_INVALID_ID')) return { message: error.message, id: error.details.id }
    throw error
  }
  throw new Error('it was accepted')
}

test.each(['a', 'user_1', 'Jürg Müller', '日本', '🐻', '../x', 'a/b:c*d', ' ', '"', '__proto__', 'x'.repeat(512)])(
  'takes %j',
  (id) => {
    expect(() => checkId(id)).not.toThrow()
  },
)

test.each([
  ['an empty one', '', 'must not be empty'],
  ['a newline', 'a\nb', 'has a control character'],
  ['a NUL', 'a\0', 'has a control character'],
  ['a DEL', 'a\x7f', 'has a control character'],
  ['a C1 control', 'a\u0085', 'has a control character'],
  ['a lone surrogate', 'a\ud83d', 'has a lone surrogate, which UTF-8 cannot hold'],
  ['513 bytes', 'x'.repeat(513), 'is longer than 512 bytes'],
  ['171 characters of 3 bytes', '€'.repeat(171), 'is longer than 512 bytes'],
  ['a number', 7, 'must be a string'],
  ['null', null, 'must be a string'],
  ['an object that has no text', Object.create(null), 'must be a string'],
])('refuses %s', (_, id, problem) => {
  expect(refusal(id).message).toContain(`an entity id ${problem}`)
})

test('counts bytes, not characters', () => {
  expect(() => checkId('€'.repeat(170))).not.toThrow()
  expect(() => checkId('🐻'.repeat(128))).not.toThrow()
  refusal('🐻'.repeat(129))
})

test('does not normalise: what looks alike may be two ids', () => {
  expect('é').not.toBe('e\u0301')
  expect(() => checkId('e\u0301')).not.toThrow()
})

test('names what it is, and shows the start of it in well-formed text', () => {
  expect(refusal('', 'an event type').message).toBe('an event type must not be empty: ""')
  expect(refusal(`\ud800${'x'.repeat(600)}`).id).toBe(`\ufffd${'x'.repeat(63)}`)
  // the 64th unit is the first half of a bear
  expect(refusal(`${'x'.repeat(63)}${'🐻'.repeat(200)}`).id.isWellFormed()).toBe(true)
})
