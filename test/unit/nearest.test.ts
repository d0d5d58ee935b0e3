import { expect, test } from 'vitest'
import { nearest } from '../../src/nearest.ts'

test('finds what was meant', () => {
  const known = ['append', 'appendCopy', 'inspect', 'execute', 'stop']
  expect(nearest('apend', known)).toBe('append')
  expect(nearest('appendCpy', known)).toBe('appendCopy')
  expect(nearest('sotp', known)).toBe('stop')
  expect(nearest('erase', known)).toBe(undefined)
  expect(nearest('inspekt', known)).toBe('inspect')
  expect(nearest('', known)).toBe(undefined)
})

test('of two that are as near, the first', () => {
  expect(nearest('log', ['lag', 'leg'])).toBe('lag')
})

test('compares no names that are longer than names are, and none with very many', () => {
  expect(nearest('a'.repeat(64), ['a'.repeat(63)])).toBe('a'.repeat(63))
  expect(nearest('a'.repeat(65), ['a'.repeat(64)])).toBe(undefined)
  expect(nearest('a'.repeat(64), ['a'.repeat(65)])).toBe(undefined)
  expect(nearest('name', Array(1_001).fill('nme'))).toBe(undefined)
})
