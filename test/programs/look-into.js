/** Opens an SQLite file as a shell would, to read and write, runs SQL on it and closes it. With `hold` it waits instead. */
import { createRequire } from 'node:module'

const driver = Number(process.versions.napi) >= 10 ? 'better-sqlite3' : 'better-sqlite3-node20'
const Database = createRequire(import.meta.url)(driver)
const [path, sql, hold] = process.argv.slice(2)
const db = new Database(path, { fileMustExist: true })
console.log(JSON.stringify(db.prepare(sql).raw().all()))
if (hold === undefined) db.close()
else setInterval(() => db, 1_000)
