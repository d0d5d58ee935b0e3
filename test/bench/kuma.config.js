/** For commands that read the stores of the benchmark. */
import { defineConfig } from 'kuma'
import { Account } from './load.js'

export default defineConfig({ entities: [Account] })
