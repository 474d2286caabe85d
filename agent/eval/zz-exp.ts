import sharp from 'sharp';
import { readFileSync, readdirSync } from 'node:fs';
import { resolveModel } from '#models/registry.ts';
import { openSession } from '#agent/vision/session.ts';
import { Detector } from '#agent/vision/detector.ts';
import { frameFormat } from '#models/model.ts';
import { fittedSize, fitGeometry } from '#agent/domain/frame.ts';
import { evaluateClass } from './detection.ts';
import { parseVoc } from './detection-voc.ts';
const D='/work/shared/data/voc';
const names=readdirSync(D).filter(n=>n.endsWith('.jpg'));
async function planes(buf: Buffer, format: any, how: string) {
  const { data, info } = await sharp(buf).raw().toBuffer({resolveWithObject:true});
  const source={width:info.width,height:info.height}; const size=fittedSize(source,format);
  let rgb: Uint8Array;
  if (how==='cv') {
    rgb=new Uint8Array(size.width*size.height*3);
    const sx=source.width/size.width, sy=source.height/size.height;
    for(let y=0;y<size.height;y++){ const fy=Math.max(0,Math.min(source.height-1,(y+.5)*sy-.5)); const y0=Math.floor(fy), y1=Math.min(source.height-1,y0+1), wy=fy-y0;
      for(let x=0;x<size.width;x++){ const fx=Math.max(0,Math.min(source.width-1,(x+.5)*sx-.5)); const x0=Math.floor(fx), x1=Math.min(source.width-1,x0+1), wx=fx-x0;
        for(let c=0;c<3;c++){ const p=(yy:number,xx:number)=>data[(yy*source.width+xx)*3+c]!;
          rgb[(y*size.width+x)*3+c]=Math.round((p(y0,x0)*(1-wx)+p(y0,x1)*wx)*(1-wy)+(p(y1,x0)*(1-wx)+p(y1,x1)*wx)*wy); }}}
  } else rgb=await sharp(buf).resize(size.width,size.height,{fit:'fill',kernel:how as any,fastShrinkOnLoad:false}).raw().toBuffer();
  const {offsetX,offsetY}=fitGeometry(source,format); const P=format.width*format.height; const bytes=new Uint8Array(3*P).fill(format.padding);
  for(let t=0;t<3;t++)for(let y=0;y<size.height;y++)for(let x=0;x<size.width;x++)bytes[t*P+(offsetY+y)*format.width+offsetX+x]=rgb[(y*size.width+x)*3+2-t]!;
  return {bytes,source};
}
for (const mn of ['yolox-nano','nanodet-g']) {
const base = await resolveModel(mn);
await using s = await openSession(base,{threads:1});
for (const how of ['linear','cubic','lanczos3','nearest','cv']) {
 const inputs=[]; for(const n of names) inputs.push({p:await planes(readFileSync(D+'/'+n), frameFormat(base.manifest), how), truth: parseVoc(readFileSync(D+'/'+n.replace('.jpg','.xml'),'utf8')) as any});
 for (const iou of [0.45,0.5,0.6,0.65,0.7]) {
  const model={...base,manifest:{...base.manifest,nms:{iou}}}; const d=new Detector(s,model);
  if (iou!==0.45 && how!=='cv' && how!=='linear') continue;
  const pics=[]; for(const i of inputs) pics.push({detections:(await d.detect(i.p.bytes,i.p.source,{minScore:0.01})).detections,truth:i.truth});
  const r=(name:string,labels:string[])=>name+' '+(100*(evaluateClass(pics,{name,labels}).averagePrecision??0)).toFixed(1);
  console.log(mn,how,iou,r('person',['person']),r('veh',['car','bus']),r('bic',['bicycle']),r('moto',['motorcycle']));
 }
}}
