/**
 * The salts of a shard's entities, as far as they were asked for: a cache in one piece of memory, since a hundred
 * thousand small buffers would cost the garbage collector more than they hold. An entity has one place; two that share
 * a place push each other out.
 */
import { SALT_BYTES } from './seal.ts'

const PLACES_MIN = 1_024
const PLACES_MAX = 262_144

export class Salts {
  private keys = new Float64Array(PLACES_MIN)
  private bytes = new Uint8Array(PLACES_MIN * SALT_BYTES)

  /** @param load reads one from the shard */
  constructor(private readonly load: (entity: number) => Uint8Array) {}

  /** A view that is good until the next call. */
  of(entity: number): Uint8Array {
    const place = entity & (this.keys.length - 1)
    if (this.keys[place] !== entity) this.keep(entity, this.load(entity))
    return this.at(entity & (this.keys.length - 1))
  }

  keep(entity: number, salt: Uint8Array): void {
    if (entity >= this.keys.length && this.keys.length < PLACES_MAX) this.grow(entity)
    const place = entity & (this.keys.length - 1)
    this.keys[place] = entity
    this.at(place).set(salt)
  }

  private at(place: number): Uint8Array {
    return this.bytes.subarray(place * SALT_BYTES, (place + 1) * SALT_BYTES)
  }

  /** Keys count up from 1: with as many places as entities, none is pushed out. */
  private grow(entity: number): void {
    let places = this.keys.length
    while (places <= entity && places < PLACES_MAX) places *= 2
    const [keys, bytes] = [this.keys, this.bytes]
    this.keys = new Float64Array(places)
    this.bytes = new Uint8Array(places * SALT_BYTES)
    keys.forEach((key, place) => {
      if (key > 0) this.keep(key, bytes.subarray(place * SALT_BYTES, (place + 1) * SALT_BYTES))
    })
  }
}
