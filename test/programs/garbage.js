/**
 * Connects again and again, says what makes no sense, and never hangs up: neither when it was told so nor when nobody listens
 * any more. Prints a line when so many connections were made.
 */
import { connect } from 'node:net'

const AT_ONCE = 400
const SAID = [
  '{"kuma":1,"token":"wrong"}\n',
  '{garbage',
  '{',
  'GET / HTTP/1.1\r\nhost: ',
  '\x00\x01\x02 nonsense\r\n\r\n',
]
const [host, port, told] = process.argv.slice(2)
let made = 0
function dial() {
  const socket = connect({ host, port: Number(port), allowHalfOpen: true })
  socket.on('error', () => {})
  socket.on('connect', () => {
    socket.write(SAID[made % SAID.length])
    if (++made === Number(told)) console.log(made)
  })
  socket.on('data', () => {})
  socket.on('end', dial) // and the old one stays
  socket.on('close', (hadError) => hadError && setImmediate(dial))
}
for (let i = 0; i < AT_ONCE; i++) dial()
