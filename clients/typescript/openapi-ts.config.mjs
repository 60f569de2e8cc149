export default {
    input: '../openapi.json',
    output: { path: 'src/generated', tsConfigPath: new URL('tsconfig.json', import.meta.url).pathname },
    plugins: ['@hey-api/client-fetch', '@hey-api/sdk', '@hey-api/typescript'],
};
