/** Listens on a socket as a user who owns nothing, and prints whatever somebody says to it. */
import { createServer } from 'node:net'

process.setgid!(65_534)
process.setuid!(65_534)
const server = createServer((socket) => socket.on('data', (said: Buffer) => process.stdout.write(said)))
server.listen(process.argv[2], () => console.log('listening'))
