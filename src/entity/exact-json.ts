/** The text of a value that JSON gives back exactly as it is; null for any other. */
export function exactJson(value: unknown): string | null {
  return isExact(value, 0) ? JSON.stringify(value) : null
}

/** A cycle ends here too. */
const DEPTH_MAX = 256

function isExact(value: unknown, depth: number): boolean {
  switch (typeof value) {
    case 'string':
      return value.isWellFormed() && !value.includes('\0') // SQLite's text can hold neither
    case 'number':
      return Number.isFinite(value) && !Object.is(value, -0)
    case 'boolean':
      return true
    case 'object':
      if (value === null) return true
      return depth < DEPTH_MAX && (Array.isArray(value) ? isExactArray(value, depth) : isExactObject(value, depth))
    default:
      return false // undefined too: JSON would leave the property out
  }
}

function isExactArray(value: readonly unknown[], depth: number): boolean {
  // by index, since a hole is skipped by `every`
  for (let i = 0; i < value.length; i++) if (!isExact(value[i], depth + 1)) return false
  return Object.keys(value).length === value.length
}

function isExactObject(value: object, depth: number): boolean {
  if (Object.getPrototypeOf(value) !== Object.prototype && !isForeignPlain(value)) return false
  if (Object.getOwnPropertySymbols(value).length > 0 || 'toJSON' in value) return false
  for (const key of Object.keys(value)) {
    if (key === '__proto__' || !isExact((value as Record<string, unknown>)[key], depth + 1)) return false
  }
  return true
}

/** A plain object of another realm (a test runner, a vm). One without a prototype is none: it would come back with one. */
function isForeignPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value) as object | null
  return prototype !== null && Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, 'isPrototypeOf')
}
