import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/bench/peers/**'],
    pool: 'forks',
    maxWorkers: 2,
    // bounds against hanging, not expectations: crash tests start hundreds of processes
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
})
