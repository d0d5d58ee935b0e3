/** Tries to make a store as a user who owns nothing, and prints the error. */
import { createStore } from '../../src/store/create.ts'

process.setgid!(65_534)
process.setuid!(65_534)
await createStore(process.argv[2]!).catch(({ code, message }) => console.log(JSON.stringify({ code, message })))
