/** The process that looks for remnants: files as arguments, what was found on stdout, as JSON. */
import { findRemnants } from './remnants.ts'

process.stdout.write(JSON.stringify(process.argv.slice(2).map(findRemnants)))
