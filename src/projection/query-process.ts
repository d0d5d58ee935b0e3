/**
 * The process that asks the embedded sink: nothing but its end can stop SQLite in the middle of a question. Its argument
 * is the file; each line of stdin is a question, and is answered by lines of pages and one that ends them.
 */
import { once } from 'node:events'
import { toWire } from '../errors.ts'
import { lines } from './lines.ts'
import type { Query } from './sink.ts'
import { queryFile } from './sqlite-file.ts'

const path = process.argv[2]!

for await (const line of lines(process.stdin)) {
  try {
    for (const page of queryFile(path, JSON.parse(line) as Query)) await say(page)
    await say({ done: true })
  } catch (error) {
    await say({ error: toWire(error) })
  }
}

async function say(message: object): Promise<void> {
  if (!process.stdout.write(`${JSON.stringify(message)}\n`)) await once(process.stdout, 'drain')
}
