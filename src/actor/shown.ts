/**
 * What readers have of a state that is built upon in place. They get it frozen. Its small objects are shared with them: one
 * of these is copied when something in it is to change. Of a large object they get a copy, which costs them no more than
 * to freeze it, so that whoever changes it later need not pay for its size. A copy is kept until there is something else
 * to be shown in its place.
 */

import { deepFreeze } from '../entity/fold.ts'

/** An object with more fields is large. */
const FIELDS_SHARED_MAX = 64

export class Shown {
  /** by what they are copies of; null while there are none */
  private copies: WeakMap<object, unknown> | null = null

  /** The same, frozen through and through. What cannot be extended is taken to be frozen so. */
  of(value: unknown): unknown {
    if (typeof value !== 'object' || value === null || !Object.isExtensible(value)) return value
    if (Array.isArray(value)) return deepFreeze(value) // nothing in it is ever changed in place
    const known = this.copies?.get(value)
    if (known !== undefined) return known
    const shown = Object.freeze(this.withPartsShown(value as Record<string, unknown>))
    if (shown === value) return shown
    this.copies ??= new WeakMap()
    this.copies.set(value, shown)
    return shown
  }

  private withPartsShown(object: Record<string, unknown>): Record<string, unknown> {
    const keys = Object.keys(object)
    let shown = keys.length > FIELDS_SHARED_MAX ? { ...object } : object
    for (const key of keys) {
      const part = this.of(object[key])
      if (part === object[key]) continue
      if (shown === object) shown = { ...object }
      shown[key] = part
    }
    return shown
  }

  /** The patch is about to be merged into the state: readers will need other copies of what it changes. */
  forget(state: unknown, patch: object): void {
    if (this.copies === null || typeof state !== 'object' || state === null) return
    this.copies.delete(state)
    for (const [key, inner] of Object.entries(patch)) {
      const isInner = typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      if (isInner && Object.hasOwn(state, key)) this.forget((state as Record<string, unknown>)[key], inner)
    }
  }
}
