/** The store under abuse: few entities stay in memory, so that many must be woken; a read model that somebody asks for. */
import { defineConfig, defineProjection, document } from 'kuma'

export const items = defineProjection({ name: 'items', columns: { size: 'integer' } }).rows(document, (state) => ({
  size: Object.keys(state).length,
}))

export default defineConfig({
  entities: [document],
  projections: [items],
  actorsMax: 2_000,
  stateBytesMax: 4 * 1024 * 1024,
  readModels: { queryMemoryBytesMax: 128 * 1024 * 1024 },
})
