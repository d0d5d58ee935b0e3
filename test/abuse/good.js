/** The client that must be served while others misbehave: appends, so many at a time, and how long each took. */
import { setTimeout as sleep } from 'node:timers/promises'
import { connect, document, isKumaError } from '../../dist/index.js'
import { idOf } from './store.js'

const IN_FLIGHT = 64

export class Good {
  /** id -> the last version that it was told is on disk */
  acknowledged = new Map()
  appends = 0
  overloaded = 0
  /** Each ends one of those that append. */
  errors = []
  waitsMs = []
  #isDone = false
  #all

  static async connect(path) {
    const good = new Good()
    const ctx = await connect(path)
    good.#all = Promise.all(Array.from({ length: IN_FLIGHT }, () => good.#appendOn(ctx))).then(() => ctx.close())
    return good
  }

  async #appendOn(ctx) {
    while (!this.#isDone && this.errors.length === 0) {
      const id = idOf(Math.floor(Math.random() * 1e9))
      try {
        const entity = await this.#timed(() => ctx.entity(document, id))
        const { version } = await this.#timed(() => entity.append({ type: 'Set', data: { n: this.appends++ } }))
        this.acknowledged.set(id, Math.max(version, this.acknowledged.get(id) ?? 0))
      } catch (error) {
        if (!isKumaError(error, 'KUMA_OVERLOADED')) return void this.errors.push(error)
        this.overloaded++ // it is told to come again: that is an answer
        await sleep(error.details.retryAfterMs)
      }
    }
  }

  async #timed(call) {
    const begun = performance.now()
    try {
      return await call()
    } finally {
      this.waitsMs.push(performance.now() - begun)
    }
  }

  /** Forgets how long it waited until now. */
  begin() {
    this.waitsMs = []
    this.appends = 0
  }

  async end() {
    this.#isDone = true
    await this.#all
  }
}
