/** For tests of encrypted stores: in the environment, so that processes that a test starts have it too. */
export const MASTER_KEY = 'b7'.repeat(32)
process.env['KUMA_MASTER_KEY'] = MASTER_KEY
