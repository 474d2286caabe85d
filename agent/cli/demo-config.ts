/** The demo's configuration: rules that mean something on any street. */
import { type ConfigInput, loadConfig } from '#config/load.ts';
import type { Config } from '#config/schema.ts';

type CameraInput = NonNullable<ConfigInput['cameras']>[number];

export interface DemoScene {
  readonly video: string;
  readonly folder: string;
  readonly brokerUrl: string;
}

/** Nothing is logged but what a person must see: the screen belongs to the table. */
export async function demoConfig({ video, folder, brokerUrl }: DemoScene): Promise<Config> {
  const overrides = {
    ...demoScene(video),
    storage: { path: folder },
    uplink: { url: brokerUrl },
    log: { level: 'error' },
  } as const;
  const { config } = await loadConfig({ search: [], overrides });
  return config;
}

/** One camera, and rules for it. */
export const demoScene = (video: string, camera: Partial<CameraInput> = {}): ConfigInput => ({
  device: { id: 'demo' },
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
      ...camera,
    },
  ],
  rules: [
    { kind: 'intrusion', id: 'yard', zone: 'middle' },
    { kind: 'line', id: 'count', line: 'across', labels: ['person'] },
    { kind: 'loitering', id: 'linger', zone: 'middle', after: '10s' },
    { kind: 'crowd', id: 'crowd', atLeast: 4, after: '2s' },
  ],
});
