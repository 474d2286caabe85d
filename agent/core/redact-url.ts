/** URLs as they may be shown: without user, password, and query (tokens live there). */
export function redactUrl(url: string): string {
  return url
    .replace(
      /^([a-z][a-z0-9+.-]*:\/\/)([^/?#]*@)?/i,
      (_all, scheme: string, user?: string) => scheme + (user ? '***@' : ''),
    )
    .replace(/\?.*$/s, (query) =>
      /^\?(seed|fps|seconds)=\d+(&(seed|fps|seconds)=\d+)*$/.test(query) ? query : '?***',
    );
}

/** Replaces every occurrence of the URL's secrets in a text that another program wrote. */
export function redactIn(text: string, url: string): string {
  const secrets = new Set<string>([url]);
  try {
    const parsed = new URL(url);
    for (const secret of [parsed.password, parsed.username, parsed.search.slice(1)]) {
      if (secret.length > 0) secrets.add(secret).add(decodeURIComponent(secret));
    }
  } catch {
    // not a URL: a path, which holds no credential
    return text;
  }
  const ordered = [...secrets].sort((a, b) => b.length - a.length);
  return ordered.reduce((clean, secret) => clean.replaceAll(secret, secret === url ? redactUrl(url) : '***'), text);
}
