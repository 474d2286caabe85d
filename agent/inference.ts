/** Composition root of the inference child: the only file that knows capture and vision both. */

export async function runInference(): Promise<void> {
  await Promise.reject(new Error('not here yet'));
}
