/**
 * Whose releases `outpost install --from` believes: Ed25519 public keys, base64. Written here when a release key is made,
 * so that it is in every binary; until then, and for those who build their own, `--key FILE` names one.
 */
export const releaseKeys: readonly string[] = [];
