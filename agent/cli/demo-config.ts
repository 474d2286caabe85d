/** The demo's configuration: rules that mean something on any street. */
import { loadConfig } from '#config/load.ts';
import type { Config } from '#config/schema.ts';

export interface DemoScene {
  readonly video: string;
  readonly folder: string;
  readonly brokerUrl: string;
  readonly seconds: number | undefined;
}

export async function demoConfig({ video, folder, brokerUrl }: DemoScene): Promise<Config> {
  const { config } = await loadConfig({
    search: [],
    overrides: {
      device: { id: 'demo' },
      storage: { path: folder },
      cameras: [
        {
          id: 'demo',
          url: video,
          zones: [
            {
              id: 'middle',
              polygon: [
                [0.3, 0.35],
                [0.75, 0.35],
                [0.75, 0.95],
                [0.3, 0.95],
              ],
            },
          ],
          lines: [{ id: 'across', from: [0.5, 0.2], to: [0.5, 1] }],
        },
      ],
      rules: [
        { kind: 'intrusion', id: 'yard', zone: 'middle' },
        { kind: 'line', id: 'count', line: 'across', labels: ['person'] },
        { kind: 'loitering', id: 'linger', zone: 'middle', after: '10s' },
        { kind: 'crowd', id: 'crowd', atLeast: 4, after: '2s' },
      ],
      uplink: { url: brokerUrl },
    },
  });
  return config;
}
