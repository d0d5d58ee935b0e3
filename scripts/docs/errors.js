import { EXIT, exitCodeOf } from '../../src/cli/exit-codes.ts'
import { STATUS } from '../../src/daemon/http.ts'
import { KumaError } from '../../src/errors.ts'
import { paragraphs, table } from './markdown.js'
import { file, membersOf } from './source.js'

export function errors() {
  const codes = membersOf(file('errors.ts'), 'KumaErrorDetails').map(({ name, type, about }) => {
    const exit = exitCodeOf(new KumaError(name, '', {}))
    const details = /^Record</.test(type) ? '' : `\`${type.replaceAll('readonly ', '').replace(/\s+/g, ' ')}\``
    return [`\`${name}\``, exit, STATUS[name] ?? 500, about, details]
  })
  const exits = membersOf(file('cli/exit-codes.ts'), 'EXIT').map(({ name, about }) => [EXIT[name], about])
  return paragraphs(
    '# Errors',
    'Everything that Kuma refuses is a `KumaError`: a stable `code`, a `message` that names the thing, `details`, and a `hint` with the next step, or null. `isKumaError(error, code)` tells. In the shell the hint stands below the message, and `--json` prints `{"error":{code,message,hint,details}}`; HTTP answers the same.',
    '## Exit codes',
    table(['Exit code', 'Meaning, and what to do'], exits),
    '## Codes',
    table(['Code', 'Exit code', 'HTTP', 'When', 'Details'], codes),
  )
}
